export async function main() { throw new Error('not yet'); }
