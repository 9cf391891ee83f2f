// Row 53: FastAPI's first example. What is validated is written down once: types, answers to bad requests, the OpenAPI document
// and its page follow from it. None of that is aiokit's: zod, @hono/zod-openapi and Swagger UI do it; aiokit serves it.
import { run } from '@aiokit/core';
import { serve } from '@aiokit/http/server';
import { serveStatic } from '@hono/node-server/serve-static';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import swaggerUi from 'swagger-ui-dist/absolute-path.js';
import { isProgram } from '../program.ts';

const Item = z
  .object({
    name: z.string(),
    price: z.number(),
    is_offer: z.boolean().nullish(),
  })
  .openapi('Item');

const itemId = z.object({ item_id: z.coerce.number().int() });

const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});
const invalid = json(z.object({ detail: z.array(z.unknown()) }), 'Validation Error');

export const app = new OpenAPIHono({
  defaultHook: (result, c) => (result.success ? undefined : c.json({ detail: result.error.issues }, 422)),
});

const readRoot = createRoute({
  method: 'get',
  path: '/',
  responses: { 200: json(z.object({ Hello: z.string() }), 'Successful Response') },
});
// A handler need not be async: this one answers at once, without a promise. (What blocks belongs into a thread: row 47.)
app.openapi(readRoot, (c) => c.json({ Hello: 'World' }));

const readItem = createRoute({
  method: 'get',
  path: '/items/{item_id}',
  request: { params: itemId, query: z.object({ q: z.string().optional() }) },
  responses: {
    200: json(z.object({ item_id: z.number(), q: z.string().nullable() }), 'Successful Response'),
    422: invalid,
  },
});
app.openapi(readItem, async (c) => {
  const { item_id } = c.req.valid('param');
  const { q } = c.req.valid('query');
  return c.json({ item_id, q: q ?? null }, 200);
});

const updateItem = createRoute({
  method: 'put',
  path: '/items/{item_id}',
  request: { params: itemId, body: { required: true, content: { 'application/json': { schema: Item } } } },
  responses: {
    200: json(z.object({ item_name: z.string(), item_id: z.number() }), 'Successful Response'),
    422: invalid,
  },
});
app.openapi(updateItem, async (c) => {
  const { item_id } = c.req.valid('param');
  const item = c.req.valid('json');
  return c.json({ item_name: item.name, item_id }, 200);
});

app.doc31('/openapi.json', { openapi: '3.1.0', info: { title: 'Items', version: '0.1.0' } });

// The page, from this machine's own copy of Swagger UI; this script is what its documentation has one replace.
app.get('/docs/swagger-initializer.js', (c) =>
  c.body(`SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui' });`, 200, {
    'content-type': 'text/javascript',
  }),
);
app.get('/docs', (c) => c.redirect('/docs/'));
app.get('/docs/*', serveStatic({ root: swaggerUi(), rewriteRequestPath: (path) => path.slice('/docs'.length) }));

if (isProgram(import.meta)) {
  await run(async () => {
    await using server = await serve(app, { port: 8000 });
    console.log(`${server.url}/docs`);
    await server.untilClosed();
  });
}
