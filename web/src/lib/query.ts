/** What a link may fill in beforehand. A token is never among it. */
export interface Prefill {
  caller: string | null;
  room: string | null;
  name: string | null;
}

export function readQuery(): Prefill {
  const query = new URLSearchParams(location.search);
  return { caller: query.get('caller'), room: query.get('room'), name: query.get('name') };
}

/** The address of the lobby with these fields filled in. */
export function lobbyLink(fields: { caller: string; room: string; name?: string }): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) if (value) query.set(key, value);
  return `${location.pathname}?${query}`;
}
