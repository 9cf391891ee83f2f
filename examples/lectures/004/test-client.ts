// Row 55: the app that the notes test with FastAPI's TestClient.
import { Hono } from 'hono';

export const app = new Hono();

app.get('/', async (c) => c.json({ msg: 'Hello World' }));
