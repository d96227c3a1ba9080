/** What a visitor fills in before they join. */
export interface Fields {
  caller: string;
  room: string;
  name: string;
  /** A pasted token. Kept in memory alone. */
  token: string;
}
