import { Mark } from '../Icon';

/** Another demo caller, and the address of the lobby with them chosen. */
export interface Invite {
  name: string;
  link: string;
}

export function Invitation({ name, link, className }: Invite & { className?: string }) {
  return (
    <a className={className} href={link} target="_blank" rel="noreferrer">
      Open {name} in another window
    </a>
  );
}

/** What stands in for the stage until somebody is on it. */
export function EmptyStage({ open, invite }: { open: boolean; invite?: Invite }) {
  return (
    <div className="stage-empty">
      <Mark />
      <p className="stage-empty-title">{open ? 'The stage is empty' : 'The door opens…'}</p>
      <p>Whoever comes on is seen and heard here.</p>
      {invite && <Invitation {...invite} className="button" />}
    </div>
  );
}
