import { JoinError } from 'livekit-join';
import { clock } from './clock';
import { errorWords, hostingWords, type Circumstances, type Words } from './words';

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
export function problem(code: string, facts: Partial<Problem> = {}, circumstances?: Circumstances): Problem {
  return { ...errorWords(code, facts.detail, circumstances), ...facts, code };
}

/** What a failed join means. */
export function joinProblem(error: unknown, circumstances?: Circumstances): Problem {
  if (!(error instanceof JoinError)) return problem('internal', { detail: String(error) });
  const facts = {
    detail: error.status > 0 ? withLocalTimes(error.message) : undefined,
    requestId: error.requestId,
    notBefore: error.retryAfter ? Date.now() + error.retryAfter * 1000 : undefined,
  };
  return problem(error.code, facts, circumstances);
}

/** The door writes times for programs, in UTC; the visitor's own clock says it better. */
function withLocalTimes(sentence: string): string {
  return sentence.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, clock);
}

/** Why the door did not do what a moderator or an inviter asked for, in a sentence. */
export function refusal(error: unknown): string {
  return error instanceof JoinError ? hostingWords(error.code, error.message) : String(error);
}
