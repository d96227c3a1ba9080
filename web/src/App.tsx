import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { livekitJoin, type JoinDetails } from 'livekit-join';
import { Mark } from './Icon';
import { CUSTOM, NO_CONFIG, loadConfig, slug, withPlans, type DemoConfig } from './lib/config';
import { stopAll, type Brought } from './lib/media';
import { joinProblem, type Problem } from './lib/problem';
import { lobbyLink, readQuery } from './lib/query';
import { usePlans } from './lib/usePlans';
import { usePreview } from './lib/usePreview';
import type { Fields } from './lobby/fields';
import { Lobby } from './lobby/Lobby';

const loadRoom = () => import('./room/RoomScreen');
const RoomScreen = lazy(loadRoom);

interface Visit {
  details: JoinDetails;
  brought: Brought;
  fields: Fields;
  /** Asks the door once more, to learn why rights changed. */
  ask: () => Promise<JoinDetails>;
}

export function App() {
  const [loaded, setConfig] = useState<DemoConfig | null>(null);
  const [fields, setFields] = useState<Fields>({ caller: '', room: '', name: '', token: '' });
  const [joining, setJoining] = useState(false);
  const [visit, setVisit] = useState<Visit | null>(null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [status, setStatus] = useState('');
  const hasPlans = loaded?.plans ?? false;
  const plans = usePlans(hasPlans);
  // Who pays is what their plans say now, in the lobby and during a call.
  const config = useMemo(() => loaded && { ...loaded, callers: withPlans(loaded.callers, plans.list) }, [loaded, plans.list]);
  const preview = usePreview();
  const abort = useRef<AbortController | null>(null);
  const focusNext = useRef<'heading' | null>(null);

  useEffect(() => {
    const asked = readQuery();
    loadConfig()
      .catch(() => NO_CONFIG)
      .then((loaded) => {
        const wanted = loaded.callers.find((c) => c.id === asked.caller || slug(c) === asked.caller);
        const first = loaded.callers[0];
        const caller = asked.caller === CUSTOM || !first ? CUSTOM : (wanted ?? first).id;
        setConfig(loaded);
        setFields({ caller, room: asked.room ?? loaded.room, name: asked.name ?? '', token: '' });
      });
    const idle = setTimeout(() => void loadRoom(), 1200);
    return () => clearTimeout(idle);
  }, []);

  const change = useCallback((next: Partial<Fields>) => setFields((old) => ({ ...old, ...next })), []);

  const chosen = config?.callers.find((c) => c.id === fields.caller);
  const link = config && !visit ? lobbyLink({ caller: chosen ? slug(chosen) : fields.caller, room: fields.room, name: fields.name }) : null;
  useEffect(() => {
    if (link) history.replaceState(null, '', link);
  }, [link]);

  useTitle(visit, joining, trouble);

  async function join() {
    if (joining) return;
    const token = chosen ? chosen.token : fields.token.trim();
    const controller = new AbortController();
    abort.current = controller;
    setJoining(true);
    setTrouble(null);
    setStatus(`Asking the door about ${fields.room}…`);
    const door = livekitJoin('/api/join', { getAuthToken: () => token || null });
    const request = { roomName: fields.room, participantName: fields.name.trim() };
    try {
      // Side by side: what the door says, and the page that will show it.
      const [details] = await Promise.all([door(request, { signal: controller.signal }), loadRoom()]);
      const brought = preview.take();
      if (details.permissions && !details.permissions.canPublish) stopAll(brought);
      setVisit({ details, brought, fields, ask: () => door(request) });
      setStatus('');
    } catch (error) {
      if (controller.signal.aborted) setStatus('Joining was cancelled.');
      else {
        setTrouble(joinProblem(error));
        setStatus('');
      }
    } finally {
      setJoining(false);
    }
  }

  const leave = useCallback((why: Problem | null, as?: string) => {
    focusNext.current = 'heading';
    setVisit(null);
    setTrouble(why);
    setStatus(why ? '' : 'You left the room.');
    if (as) setFields((old) => ({ ...old, caller: as, name: '' }));
  }, []);

  const payer = config?.callers.find((c) => c.pays && c.id !== fields.caller);
  const watcher = config?.callers.find((c) => !c.pays && c.id !== fields.caller);

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
          <RoomScreen
            {...visit}
            plans={hasPlans ? plans : undefined}
            payer={payer}
            watcher={watcher}
            onLeave={leave}
            onStatus={setStatus}
          />
        </Suspense>
      ) : (
        <>
          <header className="top">
            <span className="brand">
              <Mark /> Stagedoor
            </span>
            <span className="tag">demo</span>
          </header>
          {config && (
            <Lobby
              config={config}
              fields={fields}
              onChange={change}
              preview={preview}
              joining={joining}
              trouble={trouble}
              focusHeading={focusNext}
              onJoin={() => void join()}
              onCancel={() => abort.current?.abort()}
              onDismiss={() => setTrouble(null)}
            />
          )}
          <footer className="foot">
            <p>For trying out on this machine. The demo’s callers do not exist in production.</p>
            {config?.version && <p>stagedoor {config.version}</p>}
          </footer>
        </>
      )}
    </div>
  );
}

function useTitle(visit: Visit | null, joining: boolean, trouble: Problem | null) {
  // In the room, the room's own screen knows more and sets it.
  const inRoom = visit !== null;
  useEffect(() => {
    if (inRoom) return;
    if (joining) document.title = 'Joining… · Stagedoor';
    else document.title = trouble ? `${trouble.title} · Stagedoor` : 'Lobby · Stagedoor';
  }, [inRoom, joining, trouble]);
}

