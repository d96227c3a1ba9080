// Compiled, never run: the types say what the code does.
import { TokenSource, type TokenSourceConfigurable } from 'livekit-client';
import { livekitJoin, takeInvitation, JoinError, type FetchDetails, type JoinDetails, type LivekitJoinOptions } from 'livekit-join';

const source: TokenSourceConfigurable = TokenSource.custom(livekitJoin('/api/join', { getAuthToken: async () => 'x' }));
void source;

const options: LivekitJoinOptions = {
  getAuthToken: () => null,
  headers: new Headers(),
  credentials: 'include',
  protocol: 'token',
  signal: new AbortController().signal,
  timeout: 5_000,
  retries: 0,
  device: 'phone',
  guest: true,
  fetch: (url, init) => fetch(url, init),
};
const ask: FetchDetails = livekitJoin(new URL('https://door.example/api/join'), options);
livekitJoin('/x', { headers: [['a', 'b']], getAuthToken: () => undefined });

export async function use(): Promise<void> {
  const details: JoinDetails = await ask({ roomName: 'demo', participantName: 'Alice' }, { signal: options.signal });
  const { serverUrl, participantToken, room, identity, permissions, publishDenied, ttl } = details;
  const sure: [string, string] = [serverUrl, participantToken];
  const maybe: [string | undefined, string | undefined, number | undefined] = [room, identity, ttl];
  const may: boolean = permissions?.canPublish ?? false;
  const why: string | undefined = publishDenied;
  const more: [boolean, boolean, number | undefined] = [details.moderate ?? false, details.invite ?? false, details.sessionLeft];
  void [sure, maybe, may, why, more];
  await ask();
  // @ts-expect-error a room is called roomName
  await ask({ room: 'demo' });
  // @ts-expect-error may be missing
  room.length;
}

export function explain(error: unknown): string {
  if (!(error instanceof JoinError)) throw error;
  const wait: number | undefined = error.retryAfter;
  // @ts-expect-error a fact, not a setting
  error.status = 3;
  return `${error.status} ${error.code} ${wait} ${error.requestId ?? ''}`;
}

const invitation: string | null = takeInvitation();
livekitJoin('/x', { getAuthToken: () => invitation, guest: 'a-random-id-of-the-guest', device: null });
takeInvitation(new URL('https://page.example/#invite=invite_x'));
// @ts-expect-error a word, not a number
livekitJoin('/x', { device: 7 });
// @ts-expect-error no such protocol
livekitJoin('/x', { protocol: 'grpc' });
// @ts-expect-error a function, so that it can be asked again
livekitJoin('/x', { getAuthToken: 'token' });
// @ts-expect-error the address is needed
livekitJoin();
