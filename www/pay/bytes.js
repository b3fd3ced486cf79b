/** Bytes as text: hex, base58, base64. */

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export const randomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));
export const hex = (bytes) => `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** Base64 of bytes. */
export const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

/** Base64 of JSON, as headers carry it. */
export const encode = (value) => base64(new TextEncoder().encode(JSON.stringify(value)));

/** The JSON in a header; null where there is none that can be read. */
export function decode(header) {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(header), (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}

/** The 32 bytes of a base58 text. */
export function base58(text) {
  let number = 0n;
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw new Error('not base58');
    number = number * 58n + BigInt(digit);
  }
  return littleEndian(number, 32).reverse();
}

/** A number as bytes, the lowest first. */
export const littleEndian = (number, size) => Uint8Array.from({ length: size }, (_, i) => Number((BigInt(number) >> BigInt(8 * i)) & 255n));

export const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
