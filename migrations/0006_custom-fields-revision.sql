-- The name of the present custom fields of a kind of record, null when it never had any. Until the transaction ends nobody defines
-- others (src/modules/custom-fields takes the same lock for itself alone), so that a write and the definitions that its values were
-- checked by belong together. A volatile function, because its query has to see what was committed while it waited.
CREATE FUNCTION app.custom_fields_revision(organization uuid, object text) RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('custom-fields:' || organization || ':' || object, 0));
  RETURN (SELECT r.revision FROM public.crm_custom_field_revisions r
           WHERE r.organization_id = organization AND r.object = custom_fields_revision.object);
END $$;
