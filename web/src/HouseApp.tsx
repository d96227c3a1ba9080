import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { CUSTOM, NO_CONFIG, loadConfig, slug, withPlans, type DemoConfig } from './lib/config';
import type { Problem } from './lib/problem';
import { lobbyLink, readQuery } from './lib/query';
import { usePlans } from './lib/usePlans';
import { usePreview } from './lib/usePreview';
import type { Fields } from './lobby/fields';
import { Lobby } from './lobby/Lobby';
import { Shell } from './Shell';
import { loadRoom, useVisits } from './useVisits';

/** The page of the demo's own callers. */
export function HouseApp() {
  const [loaded, setConfig] = useState<DemoConfig | null>(null);
  const [fields, setFields] = useState<Fields>({ caller: '', room: '', name: '', token: '' });
  const hasPlans = loaded?.plans ?? false;
  const plans = usePlans(hasPlans);
  // Who pays is what their plans say now, in the lobby and during a call.
  const config = useMemo(() => loaded && { ...loaded, callers: withPlans(loaded.callers, plans.list) }, [loaded, plans.list]);
  const preview = usePreview();
  const visits = useVisits();
  const focusNext = useRef<'heading' | null>(null);
  useArrival(setConfig, setFields);

  const change = useCallback((next: Partial<Fields>) => setFields((old) => ({ ...old, ...next })), []);

  const chosen = config?.callers.find((c) => c.id === fields.caller);
  const link = config && !visits.visit ? lobbyLink({ caller: chosen ? slug(chosen) : fields.caller, room: fields.room, name: fields.name }) : null;
  useEffect(() => {
    if (link) history.replaceState(null, '', link);
  }, [link]);

  const join = () => visits.join({ fields, token: chosen ? chosen.token : fields.token.trim(), guest: false, take: preview.take });

  const leave = useCallback(
    (why: Problem | null, as?: string) => {
      focusNext.current = 'heading';
      visits.leave(why);
      if (as) setFields((old) => ({ ...old, caller: as, name: '' }));
    },
    [visits.leave],
  );
  const back = () => {
    focusNext.current = 'heading';
    visits.clear();
  };

  const room = {
    plans: hasPlans ? plans : undefined,
    payer: config?.callers.find((c) => c.pays && c.id !== fields.caller),
    watcher: config?.callers.find((c) => !c.pays && c.id !== fields.caller),
  };
  return (
    <Shell visits={visits} tag="demo" version={config?.version} room={room} onLeave={leave} onBack={back}>
      {config && (
        <Lobby
          config={config}
          fields={fields}
          onChange={change}
          preview={preview}
          joining={visits.joining}
          trouble={visits.trouble}
          focusHeading={focusNext}
          onJoin={() => void join()}
          onCancel={visits.cancel}
          onDismiss={visits.clear}
        />
      )}
    </Shell>
  );
}

/** Asks who the demo's callers are, and fills in what the link says. */
function useArrival(setConfig: (config: DemoConfig) => void, setFields: (fields: Fields) => void) {
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
}
