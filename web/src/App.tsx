import { useEffect, useState } from 'react';
import { GuestApp } from './GuestApp';
import { HouseApp } from './HouseApp';
import { arrivedInvitation, forgetInvitation } from './lib/invitation';

// Before anything else reads or writes the address.
const arrived = arrivedInvitation();

/** The demo: for its own callers, or for a guest whose link brought an invitation. */
export function App() {
  const [invitation, setInvitation] = useState(arrived);

  useEffect(() => {
    // A link opened where this page is open already changes the fragment alone.
    const changed = () => {
      if (location.hash.includes('invite=') && arrivedInvitation()) location.reload();
    };
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);

  function forget() {
    forgetInvitation();
    setInvitation(null);
  }
  return invitation ? <GuestApp invitation={invitation} onForget={forget} /> : <HouseApp />;
}
