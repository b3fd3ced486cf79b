/** Shows what was bought, where the browser can't open it by itself. */
import { link, make, text } from './page.js';

const MAX_SHOWN_BYTES = 1_000_000;

/**
 * An answer as elements: text to read, an image to see, and all of it to save.
 *
 * @param {Response} answer
 * @returns {Promise<HTMLElement[]>}
 */
export async function show(answer) {
  const blob = await answer.blob();
  if (blob.size === 0) return [make('p', {}, text('empty'))];
  const save = link(URL.createObjectURL(blob), text('download'));
  save.className = 'button';
  save.download = nameOf(answer.headers.get('Content-Disposition'));
  const shown = [make('p', {}, text('saved')), save];
  if (blob.size > MAX_SHOWN_BYTES) return shown;
  if (/^text\/|[/+]json\b/.test(blob.type)) shown.push(make('pre', { tabIndex: 0 }, await blob.text()));
  if (/^image\//.test(blob.type)) shown.push(make('img', { src: await dataUrl(blob), alt: '' }));
  return shown;
}

/** The name under which an answer is to be saved (RFC 6266), else the last part of the path. */
function nameOf(disposition) {
  const encoded = /filename\*=[\w-]*'[\w-]*'([^;]+)/i.exec(disposition)?.[1];
  const plain = /filename="?([^";]+)/i.exec(disposition)?.[1];
  const last = location.pathname.split('/').filter(Boolean).pop();
  try {
    return decodeURIComponent(encoded ?? '') || plain || decodeURIComponent(last ?? '');
  } catch {
    return plain ?? 'download';
  }
}

const dataUrl = (blob) =>
  new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
