import { JoinError } from 'livekit-join';
import { errorWords, type Words } from './words';

/** Something that went wrong, ready to be shown. */
export interface Problem extends Words {
  code: string;
  /** What the other side said, in its own words, where that adds something. */
  detail?: string;
  requestId?: string;
  /** When another try makes sense, as milliseconds since 1970. */
  notBefore?: number;
}

/** The problem behind a code, with whatever else is known about it. */
export function problem(code: string, facts: Partial<Problem> = {}): Problem {
  return { ...errorWords(code, facts.detail), ...facts, code };
}

/** What a failed join means. */
export function joinProblem(error: unknown): Problem {
  if (!(error instanceof JoinError)) return problem('internal', { detail: String(error) });
  return problem(error.code, {
    detail: error.status > 0 ? error.message : undefined,
    requestId: error.requestId,
    notBefore: error.retryAfter ? Date.now() + error.retryAfter * 1000 : undefined,
  });
}
