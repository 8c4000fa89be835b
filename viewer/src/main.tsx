import { isId } from '@gametape/shared';
import { render } from 'preact';
import { Home } from './home.tsx';
import { LiveRoom } from './live-room.tsx';
import { Masthead } from './masthead.tsx';
import { Replay } from './replay.tsx';
import { recordingUrl } from './rooms-api.ts';
import { parseTime } from './time.ts';

const app = document.getElementById('app');
if (app) render(<Page address={new URL(location.href)} />, app);

/** Which page an address names. Links are plain, so an address never changes under a page but for `?t=`. */
function Page({ address }: { address: URL }) {
  const startAt = parseTime(address.searchParams.get('t') ?? '') ?? 0;
  const file = address.searchParams.get('src');
  const [, kind, name = '', ...rest] = decodePath(address.pathname).split('/');
  if (kind === '' && file !== null) return <Replay source={new URL(file, address).href} startAt={startAt} />;
  if (kind === '' || kind === 'index.html') return <Home />;
  if (rest.join('') === '' && isId(name)) {
    if (kind === 'live') return <LiveRoom room={name} />;
    if (kind === 'r') return <Replay source={recordingUrl(name)} startAt={startAt} />;
  }
  return <NothingHere path={address.pathname} />;
}

function NothingHere({ path }: { path: string }) {
  return (
    <>
      <Masthead title="Nothing here" />
      <main class="page">
        <div class="note">
          <p>
            No page has the address <code>{path}</code>. Rooms are at <code>/live/ROOM</code>, recordings at{' '}
            <code>/r/ID</code>.
          </p>
          <p>
            <a href="/">All rooms and recordings</a>
          </p>
        </div>
      </main>
    </>
  );
}

/** A path that is not valid percent-encoding names nothing, but must not take the page down. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
