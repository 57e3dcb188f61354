-- app.enter also says how the statements of the flight are planned: a plan for all values is right for a key, and may be a
-- hundred times too slow for a filter whose values differ as much as those of a large and a small owner.
DROP FUNCTION app.enter(uuid, uuid, uuid, integer, boolean);
--> statement-breakpoint
CREATE FUNCTION app.enter(organization uuid, person uuid, session uuid, rights integer, local boolean, plans text) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Runs before every statement of every request: assignments and two look-ups by primary key are the cheapest that there is.
-- Null when the claim could not be verified, for example because of a lock: an error would bring back that of the request before.
DECLARE
  done text;
  verified boolean;
BEGIN
  done := set_config('app.organization_id', organization::text, local);
  done := set_config('app.user_id', '', local);
  done := set_config('app.email', '', local);
  done := set_config('app.maintenance', '', local);
  done := set_config('plan_cache_mode', plans, local);
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
