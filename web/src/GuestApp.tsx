import { useEffect, useRef, useState } from 'react';
import { GuestLobby } from './lobby/GuestLobby';
import { Shell } from './Shell';
import { loadRoom, useVisits } from './useVisits';

/** The page of somebody who came by invitation. */
export function GuestApp({ invitation, onForget }: { invitation: string; onForget(): void }) {
  const visits = useVisits();
  const [name, setName] = useState('');
  const focusNext = useRef<'heading' | null>(null);
  useEffect(() => void loadRoom(), []);

  const join = () =>
    // The room is left out: it is the invitation's.
    visits.join({ fields: { caller: '', room: '', name, token: '' }, token: invitation, guest: true, take: () => ({}) });
  const back = () => {
    focusNext.current = 'heading';
    visits.clear();
  };
  return (
    <Shell
      visits={visits}
      tag="guest"
      onLeave={(why) => {
        focusNext.current = 'heading';
        visits.leave(why);
      }}
      onBack={back}
    >
      <GuestLobby name={name} visits={visits} focusHeading={focusNext} onName={setName} onJoin={() => void join()} onForget={onForget} />
    </Shell>
  );
}
