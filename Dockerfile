# Debian, not Alpine: Temporal's native core has no musl build.
FROM node:24.21.0-bookworm-slim AS base
WORKDIR /app
RUN npm install --global pnpm@10.34.9
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches ./patches

FROM base AS build
RUN pnpm install --frozen-lockfile
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY workflows ./workflows
COPY activities ./activities
COPY drizzle ./drizzle
RUN pnpm build

FROM base AS production
RUN pnpm install --frozen-lockfile --prod

FROM node:24.21.0-bookworm-slim
# Inside a container loopback reaches nobody; publish the ports on the host's loopback: there is no authentication yet.
# A small young generation: V8 lets it grow to 128 MiB otherwise, for nothing (docs/design.md §4).
ENV NODE_ENV=production \
    NODE_OPTIONS="--enable-source-maps --max-semi-space-size=8" \
    HOST=0.0.0.0 \
    PORT=8080 \
    METRICS_PORT=9464
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY drizzle ./drizzle
USER node
EXPOSE 8080 9464
# `all` and `api` answer at PORT, `ingest` and `worker` at METRICS_PORT.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "const ask=(port)=>fetch(`http://127.0.0.1:${port}/health`).then((answer)=>answer.ok||Promise.reject());Promise.any([ask(process.env.PORT),ask(process.env.METRICS_PORT)]).catch(()=>process.exit(1))"]
CMD ["node", "dist/src/main.js", "all"]
