import { createRoot } from 'react-dom/client';
import './styles/base.css';
import './styles/lobby.css';
import './styles/preview.css';
import { App } from './App';

// Without StrictMode: its double effects would join and leave a room to no use.
createRoot(document.getElementById('root')!).render(<App />);
