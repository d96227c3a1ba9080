// People with a browser of their own, and what is asked of every page they
// open: no error in the console and no breach of its content security policy.
import { expect } from '@playwright/test';
import { leaksIn } from './canary.js';

// Runs in every page before its own scripts.
function instrument() {
  window.connections = [];
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
  };
  addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
}

/** Opens a browser context of its own: other cookies, other storage, other devices. */
export async function newPerson(browser, options = {}) {
  const { allow = [], ...context } = options;
  const own = await browser.newContext({ permissions: ['camera', 'microphone'], ...context });
  await own.addInitScript(instrument);
  const page = await own.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const text = `${message.text()} (${message.location().url})`;
    if (!allow.some((pattern) => pattern.test(text))) complaints.push(text);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.stack ?? error}`));
  page.on('crash', () => complaints.push('the page crashed'));
  page.on('response', async (response) => {
    const body = await response.body().catch(() => Buffer.alloc(0)); // a redirect has none, nor has one whose page is gone
    complaints.push(...leaksIn(response.url(), body));
  });
  return {
    page,
    async close() {
      await own.close();
      expect(complaints, 'console errors, CSP violations and leaks').toEqual([]);
    },
  };
}

/** Video frames this page has received over the network and decoded so far. */
export function framesDecoded(page) {
  return page.evaluate(async () => {
    let frames = 0;
    for (const connection of window.connections) {
      for (const report of (await connection.getStats()).values()) {
        if (report.type === 'inbound-rtp' && report.kind === 'video') frames += report.framesDecoded ?? 0;
      }
    }
    return frames;
  });
}

/** Bytes of media this page has sent: 0 for somebody who only watches. */
export function mediaSent(page) {
  return page.evaluate(async () => {
    let bytes = 0;
    for (const connection of window.connections) {
      for (const report of (await connection.getStats()).values()) if (report.type === 'outbound-rtp') bytes += report.bytesSent ?? 0;
    }
    return bytes;
  });
}

/** Collects the tokens that LiveKit hands to a page over its signalling socket. */
export function watchRefresh(page) {
  const tokens = [];
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => {
      const found = Buffer.from(payload).toString('latin1').match(/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}/g);
      if (found) tokens.push(...found);
    });
  });
  return tokens;
}

/** Waits until frames arrive and go on arriving; gives how many there are in the end. */
export async function expectMovingPicture(page) {
  await expect.poll(() => framesDecoded(page), { message: 'decoded frames' }).toBeGreaterThan(0);
  const before = await framesDecoded(page);
  await expect.poll(() => framesDecoded(page), { message: `frames after the first ${before}` }).toBeGreaterThan(before + 10);
  return framesDecoded(page);
}

/**
 * What a video shows: its size, the frames it has painted, and how far apart
 * its darkest and its brightest sample are. A black picture has no contrast.
 */
export function picture(video) {
  return video.evaluate((element) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [64, 48];
    const context = canvas.getContext('2d');
    context.drawImage(element, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let [darkest, brightest] = [255, 0];
    for (let i = 0; i < data.length; i += 4) {
      const light = (data[i] + data[i + 1] + data[i + 2]) / 3;
      darkest = Math.min(darkest, light);
      brightest = Math.max(brightest, light);
    }
    return {
      width: element.videoWidth,
      height: element.videoHeight,
      painted: element.getVideoPlaybackQuality().totalVideoFrames,
      contrast: Math.round(brightest - darkest),
    };
  });
}
