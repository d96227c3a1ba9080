/** An RFC 3339 time on the visitor's own clock, with the date where it is not today's. */
export function clock(time: string): string {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], { timeStyle: 'short', ...(!today && { dateStyle: 'medium' }) });
}
