// A customer's own web server: another origin than the door's, with a content
// security policy that lets in the door and LiveKit and nobody else.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const FILES = {
  '/': [file('../page/index.html'), 'text/html; charset=utf-8'],
  '/page.js': [file('../page/page.js'), 'text/javascript; charset=utf-8'],
  '/livekit-client.mjs': [file('../node_modules/livekit-client/dist/livekit-client.esm.mjs'), 'text/javascript; charset=utf-8'],
};

/** Starts one. `allow` says, per request, which origins the page may talk to. */
export async function startCustomer(allow) {
  const server = createServer(async (request, response) => {
    const found = FILES[request.url];
    if (!found) return response.writeHead(404).end();
    const { door, livekit } = allow();
    response.writeHead(200, {
      'Content-Type': found[1],
      'Content-Security-Policy': `default-src 'none'; script-src 'self' ${door}; connect-src ${door} ${livekit} ${livekit.replace('ws', 'http')}; ` +
        "img-src data:; media-src 'self' blob: mediastream:; worker-src blob:",
    });
    response.end(await readFile(found[0]));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
