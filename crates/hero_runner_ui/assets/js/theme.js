// A classic script that blocks: the theme has to stand before the first paint, or a dark page begins with a white flash.
(() => {
  const KEY = 'hero.theme';
  const root = document.documentElement;
  const dark = window.matchMedia('(prefers-color-scheme: dark)');

  /** What the person chose: `light`, `dark`, or `auto`, which is what the system says. */
  function chosen() {
    try {
      const kept = localStorage.getItem(KEY);
      return kept === 'light' || kept === 'dark' ? kept : 'auto';
    } catch {
      return 'auto';
    }
  }

  function show() {
    const theme = chosen();
    root.dataset.themeChoice = theme;
    root.dataset.bsTheme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
    document.dispatchEvent(new CustomEvent('hero:theme'));
  }

  show();
  dark.addEventListener('change', show);
  // Another tab chose.
  window.addEventListener('storage', (event) => event.key === KEY && show());

  window.heroTheme = {
    chosen,
    /** @param {'light'|'dark'|'auto'} theme */
    choose(theme) {
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        root.dataset.themeChoice = theme;
      }
      show();
    },
  };
})();
