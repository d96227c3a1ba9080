import { Suspense, lazy, useEffect, type ReactNode } from 'react';
import { Mark } from './Icon';
import { Curtain } from './lobby/Curtain';
import type { RoomScreenProps } from './room/RoomScreen';
import { loadRoom, type Visits } from './useVisits';

const RoomScreen = lazy(loadRoom);

interface Props {
  visits: Visits;
  /** Beside the brand: what this page is. */
  tag: string;
  version?: string;
  /** What the room's screen needs beside the visit itself. */
  room?: Pick<RoomScreenProps, 'plans' | 'payer' | 'watcher'>;
  onLeave: RoomScreenProps['onLeave'];
  /** Back to the lobby, from the screen that says why a visit ended. */
  onBack(): void;
  /** The lobby. */
  children: ReactNode;
}

/** What all pages have in common: the lobby, then the room, then perhaps the curtain. */
export function Shell({ visits, tag, version, room, onLeave, onBack, children }: Props) {
  const { visit, ended, status, say } = visits;
  useTitle(visits);
  return (
    <div className={visit ? 'page page-room' : 'page'}>
      <a className="skip-link" href="#main">
        Skip to the {visit ? 'room' : 'lobby'}
      </a>
      <p className="sr-only" role="status" aria-live="polite">
        {status}
      </p>
      {visit ? (
        <Suspense fallback={<p className="loading">Opening the room…</p>}>
          <RoomScreen {...visit} {...room} onLeave={onLeave} onStatus={say} />
        </Suspense>
      ) : (
        <>
          <header className="top">
            <span className="brand">
              <Mark /> Stagedoor
            </span>
            <span className="tag">{tag}</span>
          </header>
          {ended ? <Curtain ended={ended} onBack={onBack} /> : children}
          <footer className="foot">
            <p>For trying out on this machine. The demo’s callers do not exist in production.</p>
            {version && <p>stagedoor {version}</p>}
          </footer>
        </>
      )}
    </div>
  );
}

function useTitle({ visit, ended, joining, trouble }: Visits) {
  // In the room, the room's own screen knows more and sets it.
  const inRoom = visit !== null;
  useEffect(() => {
    if (inRoom) return;
    if (joining) document.title = 'Joining… · Stagedoor';
    else document.title = `${ended?.why?.title ?? trouble?.title ?? (ended ? 'The visit is over' : 'Lobby')} · Stagedoor`;
  }, [inRoom, ended, joining, trouble]);
}
