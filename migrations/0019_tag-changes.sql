-- Whoever puts tags on a record says so until the transaction ends, so that who renames or deletes a tag can wait for them.
CREATE OR REPLACE FUNCTION app.note_tags() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM crm_tag_uses u WHERE u.organization_id = OLD.organization_id AND u.object = TG_ARGV[0] AND u.record_id = OLD.id;
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tags:' || NEW.organization_id, 0));
    INSERT INTO crm_tag_uses (organization_id, tag, object, record_id, owner_id, team_id)
    SELECT NEW.organization_id, tag, TG_ARGV[0], NEW.id, NEW.owner_id, NEW.team_id FROM jsonb_array_elements_text(NEW.tags) tag
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
-- Waits until all have committed who are putting tags on records of an organization. It leaves no lock behind: whoever kept it, and
-- went on to hold records, would wait for somebody who holds one and waits for the lock.
CREATE FUNCTION app.await_tagging(organization uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tags:' || organization, 0));
  RAISE EXCEPTION USING ERRCODE = 'ZC001';
EXCEPTION WHEN SQLSTATE 'ZC001' THEN
  NULL;
END $$;
