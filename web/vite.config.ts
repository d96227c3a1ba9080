import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const door = 'http://localhost:3000';

export default defineConfig({
  plugins: [react()],
  // The helper as a customer would copy it, not a version of the demo's own.
  resolve: { alias: { 'livekit-join': fileURLToPath(new URL('../client/livekit-join.js', import.meta.url)) } },
  build: {
    target: 'es2022',
    // livekit-client is 500 kB by itself; it is loaded while the visitor is still in the lobby.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: { '/api': door, '/demo': door },
    fs: { allow: ['.', '../client'] },
  },
});
