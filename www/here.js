// Commands on these pages name the address that the shop is open at by default.
// Where it is open at another one, they name that.
const written = "127.0.0.1:8402";
if (location.host !== written) {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode: text } = texts;
    text.data = text.data.replaceAll(`http://${written}`, location.origin).replaceAll(written, location.host);
  }
}
