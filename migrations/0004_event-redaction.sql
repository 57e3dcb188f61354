-- Custom SQL migration. Events can only be added, with one exception: those of a purged record lose their values. The role of the
-- application may write the column "changes" only, and this trigger lets through nothing but '{}', after the tombstone is there.
CREATE FUNCTION app.guard_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Once per statement: a record may have had very many changes. The last event is one look into the index.
  IF EXISTS (SELECT FROM redacted WHERE changes <> '{}') OR EXISTS (
    SELECT FROM (SELECT DISTINCT organization_id, object, record_id FROM redacted) r WHERE NOT coalesce((
      SELECT e.type = r.object || '.purged' FROM public.crm_events e
       WHERE e.organization_id = r.organization_id AND e.record_id = r.record_id ORDER BY e.version DESC, e.id DESC LIMIT 1), false))
  THEN
    RAISE EXCEPTION 'permission denied: an event stays as it was written, until its record is purged' USING ERRCODE = '42501';
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER crm_events_guard AFTER UPDATE ON crm_events REFERENCING NEW TABLE AS redacted
  FOR EACH STATEMENT EXECUTE FUNCTION app.guard_events();
--> statement-breakpoint
-- As before, but for the column of events.
CREATE OR REPLACE FUNCTION app.secure() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  name text;
  tenant boolean;
BEGIN
  FOR name, tenant IN
    SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id' AND NOT a.attisdropped)
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  LOOP
    IF EXISTS (SELECT FROM pg_policies p WHERE p.schemaname = 'public' AND p.tablename = name) THEN
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    ELSIF tenant THEN
      RAISE EXCEPTION 'the tenant table % has no policy', name;
    END IF;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO zenith_app', name);
  END LOOP;
  REVOKE UPDATE, DELETE ON public.crm_events FROM zenith_app;
  GRANT UPDATE (changes) ON public.crm_events TO zenith_app;
  REVOKE DELETE ON public.crm_organizations, public.crm_users, public.crm_memberships FROM zenith_app;
END $$;
