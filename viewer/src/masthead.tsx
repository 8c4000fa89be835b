import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

/** Top of every page: the way home, the page's title, and what the page has to say about itself. */
export function Masthead({ title, children }: { title?: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = title ? `${title} - gametape` : 'gametape';
  }, [title]);
  return (
    <header class="masthead">
      <a class="brand" href="/" aria-label="gametape, all rooms and recordings">
        <svg viewBox="0 0 32 20" width="32" height="20" aria-hidden="true">
          <rect class="brand-shell" width="32" height="20" rx="5" />
          <circle cx="10" cy="10" r="4" />
          <circle cx="22" cy="10" r="4" />
        </svg>
        <span>gametape</span>
      </a>
      {title && <h1>{title}</h1>}
      <div class="masthead-facts">{children}</div>
    </header>
  );
}
