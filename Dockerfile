# One image for three processes:
#   API        node dist/src/main.js      (the default)
#   worker     node dist/src/worker.js
#   migration  node dist/scripts/migrate.js
FROM node:24-bookworm-slim AS base
WORKDIR /app
# The only place that the processes write to. 1000 is the base image's unprivileged user `node`.
RUN install -d -o 1000 -g 1000 /data
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/data


# Where compose.override.yaml stops: everything needed to run the sources.
FROM base AS development
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .


FROM development AS build
RUN npm run build


FROM base AS runtime
LABEL org.opencontainers.image.title="Zenith CRM API" \
      org.opencontainers.image.description="Contract-first, multi-tenant CRM backend" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev
COPY migrations ./migrations
COPY generated/openapi.json generated/openapi.yaml ./generated/
COPY --from=build /app/dist ./dist
USER 1000:1000
EXPOSE 3000
STOPSIGNAL SIGTERM
# Liveness only: a container is not restarted because its database is away. Route traffic by /healthz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]
