/** Whether 32 bytes are a point of ed25519's curve: addresses of programs' accounts are not. */

const P = 2n ** 255n - 19n;
const mod = (n) => ((n % P) + P) % P;

function power(base, exponent) {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) if (e & 1n) result = mod(result * b);
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));

/** RFC 8032, section 5.1.3: y is on the curve if (y² − 1) / (d·y² + 1) is a square. */
export function isOnCurve(bytes) {
  let y = 0n;
  for (let i = 31; i >= 0; i -= 1) y = (y << 8n) | BigInt(i === 31 ? bytes[i] & 127 : bytes[i]);
  const square = mod(y * y);
  const x2 = mod((square - 1n) * power(D * square + 1n, P - 2n));
  return x2 === 0n || power(x2, (P - 1n) / 2n) === 1n;
}
