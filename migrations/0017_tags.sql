CREATE TABLE "crm_tag_uses" (
	"organization_id" uuid NOT NULL,
	"tag" text collate "C" NOT NULL,
	"object" text NOT NULL,
	"record_id" uuid NOT NULL,
	"owner_id" uuid NOT NULL,
	"team_id" uuid,
	CONSTRAINT "crm_tag_uses_organization_id_tag_object_record_id_pk" PRIMARY KEY("organization_id","tag","object","record_id")
);
--> statement-breakpoint
ALTER TABLE "crm_tag_uses" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE INDEX "crm_tag_uses_record_idx" ON "crm_tag_uses" USING btree ("organization_id","record_id");--> statement-breakpoint
CREATE INDEX "crm_tag_uses_owner_idx" ON "crm_tag_uses" USING btree ("organization_id","owner_id","tag","object");--> statement-breakpoint
CREATE INDEX "crm_tag_uses_team_idx" ON "crm_tag_uses" USING btree ("organization_id","team_id","tag","object");--> statement-breakpoint
CREATE POLICY "crm_tag_uses_tenant" ON "crm_tag_uses" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
-- Keeps the uses of tags what the live records say. As whoever changes the record, under the same policy.
CREATE FUNCTION app.note_tags() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM crm_tag_uses u WHERE u.organization_id = OLD.organization_id AND u.object = TG_ARGV[0] AND u.record_id = OLD.id;
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
    INSERT INTO crm_tag_uses (organization_id, tag, object, record_id, owner_id, team_id)
    SELECT NEW.organization_id, tag, TG_ARGV[0], NEW.id, NEW.owner_id, NEW.team_id FROM jsonb_array_elements_text(NEW.tags) tag
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
-- Run by every migration run: gives each record table the triggers that it lacks, and its records their uses; all of them once more
-- where asked, as after loading rows without triggers. Records without tags cost nothing. The kind of record is the singular of the table.
CREATE FUNCTION app.tag_records(again boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  source regclass;
  kind text;
BEGIN
  -- The owner sees the rows for as long as row-level security does not hold it.
  ALTER TABLE public.crm_tag_uses NO FORCE ROW LEVEL SECURITY;
  FOR source IN
    SELECT c.oid FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
             AND a.attname IN ('organization_id', 'id', 'tags', 'owner_id', 'team_id', 'deleted_at')) = 6
       AND (again OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'tags_insert'))
  LOOP
    kind := regexp_replace(regexp_replace(regexp_replace(source::text, '^(public\.)?crm_', ''), 'ies$', 'y'), 's$', '');
    EXECUTE format('CREATE OR REPLACE TRIGGER tags_insert AFTER INSERT ON %s FOR EACH ROW WHEN (NEW.tags <> ''[]'' AND NEW.deleted_at IS NULL)
      EXECUTE FUNCTION app.note_tags(%L)', source, kind);
    EXECUTE format('CREATE OR REPLACE TRIGGER tags_update AFTER UPDATE ON %s FOR EACH ROW WHEN ((OLD.tags <> ''[]'' OR NEW.tags <> ''[]'')
        AND (OLD.tags <> NEW.tags OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.owner_id <> NEW.owner_id
          OR OLD.team_id IS DISTINCT FROM NEW.team_id)) EXECUTE FUNCTION app.note_tags(%L)', source, kind);
    EXECUTE format('CREATE OR REPLACE TRIGGER tags_delete AFTER DELETE ON %s FOR EACH ROW WHEN (OLD.tags <> ''[]'')
      EXECUTE FUNCTION app.note_tags(%L)', source, kind);
    DELETE FROM public.crm_tag_uses u WHERE u.object = kind;
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', source);
    EXECUTE format('INSERT INTO public.crm_tag_uses (organization_id, tag, object, record_id, owner_id, team_id)
      SELECT r.organization_id, tag, %L, r.id, r.owner_id, r.team_id FROM %s r, jsonb_array_elements_text(r.tags) tag
       WHERE r.deleted_at IS NULL AND r.tags <> ''[]'' ON CONFLICT DO NOTHING', kind, source);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', source);
  END LOOP;
  ALTER TABLE public.crm_tag_uses FORCE ROW LEVEL SECURITY;
END $$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION app.tag_records(boolean) FROM PUBLIC;
