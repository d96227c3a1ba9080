import { useCallback, useEffect, useRef, useState } from 'react';
import { RoomAudioRenderer, RoomContext, StartAudio, useConnectionState } from '@livekit/components-react';
import { ConnectionState, type Room } from 'livekit-client';
import type { JoinDetails } from 'livekit-join';
import '../styles/room.css';
import '../styles/stage.css';
import '../styles/moderate.css';
import '../styles/room-small.css';
import { Icon, Mark } from '../Icon';
import { slug, type Caller } from '../lib/config';
import type { Door } from '../lib/door';
import type { Brought } from '../lib/media';
import type { Problem } from '../lib/problem';
import { lobbyLink } from '../lib/query';
import type { Plans } from '../lib/usePlans';
import type { Fields } from '../lobby/fields';
import { GuestList } from '../guests/GuestList';
import { PlanPanel } from '../plans/PlanPanel';
import { Controls } from './Controls';
import type { Invite } from './EmptyStage';
import { NoticeBar } from './NoticeBar';
import { RemoveDialog } from './RemoveDialog';
import { useRights, type Rights } from './rights';
import { SessionEnding } from './SessionEnding';
import { Stage } from './Stage';
import { StageCue } from './StageCue';
import { useCall } from './useCall';
import { ModerationContext, useModeration } from './useModeration';
import { WatchBanner } from './WatchBanner';

export interface RoomScreenProps {
  details: JoinDetails;
  brought: Brought;
  fields: Fields;
  /** Whether the visitor came by invitation. */
  guest: boolean;
  door: Door;
  /** The callers' plans, where the box office stands beside the room. */
  plans?: Plans;
  ask(): Promise<JoinDetails>;
  /** A demo caller who may publish, where there is another one. */
  payer?: Caller;
  /** A demo caller who may not, likewise. */
  watcher?: Caller;
  onLeave(why: Problem | null, as?: string): void;
  onStatus(words: string): void;
}

export default function RoomScreen({ details, brought, fields, guest, door, plans, ask, payer, watcher, onLeave, onStatus }: RoomScreenProps) {
  const room = useCall(details, brought, onLeave, onStatus);
  const rights = useRights(room, details);
  const reason = useReason(details, rights.canPublish, ask, onStatus);
  const [inviting, setInviting] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const name = details.room ?? fields.room;
  const state = useConnectionState(room);
  const { moderation, notice, tell, leaving, confirm, cancel } = useModeration(door, name, details.moderate ?? false, onStatus);
  // The other side of the call: somebody to watch, or somebody who watches.
  const other = rights.canPublish ? watcher : payer;
  const invite = other && { name: other.name, link: lobbyLink({ caller: slug(other), room: name }) };

  useEffect(() => heading.current?.focus(), []);
  useTitle(name, state, rights.canPublish);

  const leave = useCallback(
    (as?: string) => {
      void room.disconnect();
      onLeave(null, as);
    },
    [room, onLeave],
  );

  return (
    <RoomContext.Provider value={room}>
      <header className="top top-room">
        <span className="brand">
          <Mark /> <span className="brand-name">Stagedoor</span>
        </span>
        <h1 ref={heading} tabIndex={-1} className="room-name" title={name}>
          <span className="sr-only">Room </span>
          {name}
        </h1>
        <RightsSign rights={rights} />
        {guest && <span className="tag tag-guest">guest</span>}
        <HeaderActions other={invite} onInvite={details.invite ? () => setInviting(true) : undefined} />
      </header>
      <ModerationContext.Provider value={moderation}>
        <main id="main" className="room" data-testid="room-view" data-state={state} tabIndex={-1}>
          <SessionEnding room={room} sessionLeft={details.sessionLeft} ask={ask} onStatus={onStatus} />
          {!rights.canPublish && <WatchBanner reason={reason} guest={guest} payer={payer} onSwitch={(caller) => leave(caller.id)} />}
          <ConnectionNote state={state} />
          {notice && <NoticeBar notice={notice} onDismiss={() => tell(null)} />}
          <Stage room={room} invite={invite} canPublish={rights.canPublish} />
        </main>
      </ModerationContext.Provider>
      <StageCue room={room} rights={rights} />
      <StartAudio className="button button-primary start-audio" label="Click to hear the room" />
      <Controls room={room} rights={rights} onLeave={() => leave()} onStatus={onStatus} onNotice={tell} />
      {/* After the controls for the keyboard, which come first in a call; beside the stage for the eye. */}
      {plans && <PlanPanel room={room} plans={plans} self={fields.caller} />}
      {leaving && <RemoveDialog who={leaving} onConfirm={confirm} onCancel={cancel} />}
      {inviting && <GuestList door={door} room={name} mayPublish={rights.canPublish} onStatus={onStatus} onClose={() => setInviting(false)} />}
      <RoomAudioRenderer />
    </RoomContext.Provider>
  );
}

function useTitle(name: string, state: Room['state'], canPublish: boolean) {
  useEffect(() => {
    const doing = state === ConnectionState.Connected ? (canPublish ? 'on stage' : 'watching') : 'connecting';
    document.title = `${name} · ${doing} · Stagedoor`;
  }, [name, state, canPublish]);
}

/** Whom else to let in: a guest by a link, another demo caller by another window. */
function HeaderActions({ other, onInvite }: { other?: Invite; onInvite?: () => void }) {
  return (
    <div className="top-actions">
      {onInvite && (
        <button type="button" className="button button-quiet button-invite" data-testid="invite-button" aria-haspopup="dialog" aria-label="Invite guests" onClick={onInvite}>
          <Icon name="guest" />
          <span className="wide-only">Invite</span>
        </button>
      )}
      {other && (
        <a className="button button-quiet button-invite" href={other.link} target="_blank" rel="noreferrer" aria-label={`Open ${other.name} in another window`}>
          <Icon name="open" />
          <span className="wide-only">Open {other.name} in another window</span>
        </a>
      )}
    </div>
  );
}

function RightsSign({ rights }: { rights: Rights }) {
  return (
    <span className="sign" data-testid="may-publish" data-value={rights.canPublish}>
      <span className="sign-lamp" aria-hidden="true" />
      {rights.canPublish ? 'On stage' : 'Watching'}
      <span className="sr-only">{rights.canPublish ? ': you may publish' : ': you may not publish'}</span>
    </span>
  );
}

function ConnectionNote({ state }: { state: Room['state'] }) {
  if (state !== ConnectionState.Reconnecting && state !== ConnectionState.SignalReconnecting) return null;
  return <p className="note">The connection is bad. Reconnecting…</p>;
}

/**
 * Why publishing is withheld. LiveKit reports that rights changed during a
 * call, but not why; the door knows, so it is asked once more.
 */
function useReason(details: JoinDetails, canPublish: boolean, ask: RoomScreenProps['ask'], onStatus: RoomScreenProps['onStatus']): string | undefined {
  const [reason, setReason] = useState<string | undefined>(details.publishDenied);
  const before = useRef(canPublish);
  const tools = useRef({ ask, onStatus });
  tools.current = { ask, onStatus };
  useEffect(() => {
    if (before.current === canPublish) return;
    before.current = canPublish;
    if (canPublish) {
      tools.current.onStatus('You may publish now. Camera and microphone are open to you.');
      return;
    }
    setReason(undefined);
    tools.current.onStatus('You may no longer publish. You still see and hear the room.');
    let current = true;
    tools.current.ask().then(
      (now) => current && setReason(now.publishDenied),
      () => {}, // The banner has words for a reason it does not know.
    );
    return () => {
      current = false;
    };
  }, [canPublish]);
  return reason;
}
