// The browser of this machine: none is ever downloaded.
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The path of the first Chromium on the PATH. Throws where there is none: a call without a browser proves nothing. */
export function findBrowser() {
  for (const name of NAMES) {
    for (const directory of (process.env.PATH ?? '').split(path.delimiter)) {
      const candidate = path.join(directory, name);
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error(`No Chromium was found on the PATH (${NAMES.join(', ')}). "make setup" installs one.`);
}

export const flags = [
  '--no-sandbox', // tests also run as root, in containers
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // Loopback candidates in the clear: there is no mDNS responder in a container.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--autoplay-policy=no-user-gesture-required',
];
