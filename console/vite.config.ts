import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/**
 * Builds to `dist/`. Nothing is inlined, so that a content security policy of `'self'` holds for fonts
 * and images too. `vite` alone serves the console for development and passes API calls to
 * `SIGNALBOX_URL` (default http://127.0.0.1:4800).
 */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [svelte()],
  build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  server: { proxy: { '/api': process.env['SIGNALBOX_URL'] ?? 'http://127.0.0.1:4800' } },
});
