import { useEffect, useRef } from 'react';
import '../styles/guests.css';
import { Icon } from '../Icon';
import type { Door } from '../lib/door';
import { InviteForm } from './InviteForm';
import { InviteLink } from './InviteLink';
import { PassRow } from './PassRow';
import { useGuestList } from './useGuestList';

interface Props {
  door: Door;
  room: string;
  /** Whether the inviter may publish at this moment: their guests may as long as that holds. */
  mayPublish: boolean;
  onStatus(words: string): void;
  onClose(): void;
}

/** The guest list: make an invitation, hand on its link, and take it back. */
export function GuestList({ door, room, mayPublish, onStatus, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { list, made, busy, trouble, invite, revoke } = useGuestList(door, room, onStatus);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="dialog guests" data-testid="guest-list" aria-labelledby="guests-title" onClose={onClose}>
      <div className="guests-head">
        <h2 id="guests-title">Guest list</h2>
        <button type="button" className="button button-quiet button-icon" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
          <span className="sr-only">Close the guest list</span>
        </button>
      </div>
      <p className="guests-lead">Whoever has the link comes in, without an account, for as long as you may be here yourself.</p>
      <InviteForm room={room} mayPublish={mayPublish} busy={busy} onInvite={(wish) => void invite(wish)} />
      {trouble && (
        <p className="guests-trouble" role="alert" data-testid="guests-trouble">
          {trouble}
        </p>
      )}
      {made && <InviteLink key={made.id} pass={made} />}
      <section aria-labelledby="passes-title">
        <h3 id="passes-title">Your invitations to this room</h3>
        {list === null && <p className="guests-none">Asking the door…</p>}
        {list?.length === 0 && <p className="guests-none">None yet.</p>}
        {list && list.length > 0 && (
          <ul className="passes" data-testid="passes">
            {list.map((pass) => (
              <PassRow key={pass.id} pass={pass} busy={busy} onRevoke={() => void revoke(pass)} />
            ))}
          </ul>
        )}
      </section>
    </dialog>
  );
}
