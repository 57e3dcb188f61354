-- Functions of the two walls. Tables and policies follow from src/**/table.ts.
CREATE SCHEMA app;
--> statement-breakpoint
GRANT USAGE ON SCHEMA app TO zenith_app;
--> statement-breakpoint
-- Puts a verified principal on the connection. The session must live, the membership must be active and still have the rights
-- ("version") that the caller was authorised with; otherwise the connection is left without a tenant and sees nothing.
-- Null when that could not be found out, for example because of a lock: an error would bring back the claim of the request before.
CREATE FUNCTION app.enter(organization uuid, person uuid, session uuid, rights integer, local boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Runs before every statement of every request: assignments and two look-ups by primary key are the cheapest that there is.
DECLARE
  done text;
  verified boolean;
BEGIN
  done := set_config('app.organization_id', organization::text, local);
  done := set_config('app.user_id', '', local);
  done := set_config('app.email', '', local);
  done := set_config('app.maintenance', '', local);
  SELECT s.user_id = person AND NOT s.revoked AND s.expires_at > now() AND m.version = rights AND m.status = 'active'
    INTO verified
    FROM public.crm_sessions s, public.crm_memberships m
   WHERE s.organization_id = organization AND s.id = session AND m.organization_id = organization AND m.user_id = person;
  IF verified THEN
    RETURN true;
  END IF;
  done := set_config('app.organization_id', '', local);
  RETURN false;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  done := set_config('app.organization_id', '', local);
  done := set_config('app.user_id', '', local);
  done := set_config('app.email', '', local);
  done := set_config('app.maintenance', '', local);
  RETURN NULL;
END $$;
--> statement-breakpoint
-- Run by every migration run: forces row-level security on every table with a policy, refuses a tenant table without one,
-- and gives the application's role its rights. Events can only be added; tenants, people and memberships stay.
CREATE FUNCTION app.secure() RETURNS void LANGUAGE plpgsql AS $$
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
  REVOKE DELETE ON public.crm_organizations, public.crm_users, public.crm_memberships FROM zenith_app;
END $$;
