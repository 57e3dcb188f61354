DROP INDEX "crm_custom_fields_pending_idx";--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "searchable" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "search_state" text DEFAULT 'ready' NOT NULL;--> statement-breakpoint
CREATE INDEX "crm_custom_fields_pending_idx" ON "crm_custom_fields" USING btree ("updated_at","organization_id","id") WHERE (index_state in ('building', 'clearing') or search_state in ('building', 'clearing'));--> statement-breakpoint
ALTER POLICY "crm_custom_fields_maintenance" ON "crm_custom_fields" TO zenith_app USING ((select current_setting('app.maintenance', true)) = 'on' and (index_state in ('building', 'clearing') or search_state in ('building', 'clearing'))) WITH CHECK (false);--> statement-breakpoint
-- The custom fields that are not searched. Read by the triggers of search as the owner of the schema, and so without a policy, like the
-- documents; the application's role has no right on it.
CREATE TABLE app.unsearched_keys (
  organization_id uuid NOT NULL,
  object text NOT NULL,
  key text NOT NULL,
  PRIMARY KEY (organization_id, object, key)
);
--> statement-breakpoint
CREATE FUNCTION app.note_searchable() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.searchable THEN
    DELETE FROM app.unsearched_keys u WHERE u.organization_id = NEW.organization_id AND u.object = NEW.object AND u.key = NEW.key;
  ELSE
    INSERT INTO app.unsearched_keys VALUES (NEW.organization_id, NEW.object, NEW.key) ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION app.note_searchable() FROM PUBLIC;
--> statement-breakpoint
CREATE TRIGGER note_searchable AFTER INSERT OR UPDATE OF searchable ON public.crm_custom_fields FOR EACH ROW EXECUTE FUNCTION app.note_searchable();
--> statement-breakpoint
-- Makes a record table searched, and once more when its columns have changed: the triggers, and the documents of what is there. The
-- application may call app.search_again_<table> with a record of the tenant of its claim, which makes its document anew.
-- Searched are the columns of text that are called like names, addresses and numbers (src/records/search.ts knows the same ones).
CREATE OR REPLACE FUNCTION app.search_in(source regclass, object text) RETURNS void LANGUAGE plpgsql AS $search$
DECLARE
  kind text := (SELECT relname FROM pg_class WHERE oid = source);
  texts text;
  phones text;
  changed text;
  document text;
BEGIN
  SELECT string_agg(format(CASE WHEN type = 'jsonb' THEN 'coalesce(%%1$s.%I::text, '''')' ELSE 'coalesce(%%1$s.%I, '''')' END, name),
           ' || '' '' || ' ORDER BY place) FILTER (WHERE name !~ 'phone$'),
         coalesce(string_agg(format('%%1$s.%I', name), ', ' ORDER BY place) FILTER (WHERE name ~ 'phone$'), 'NULL'),
         string_agg(format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', name), ' OR ')
    INTO texts, phones, changed
    FROM (SELECT attname AS name, attnum AS place, atttypid::regtype::text AS type FROM pg_attribute
           WHERE attrelid = source AND attnum > 0 AND NOT attisdropped AND attgenerated = '') columns
   WHERE type = 'text' AND name ~ '^(.*_)?(name|email|phone|domain|website|title|sku|code|number)$' OR type = 'jsonb' AND name ~ '_emails$';
  document := format('%%1$s.organization_id, %1$L, %%1$s.id, app.fold(%%1$s.name), app.lexemes(app.realm(%%1$s.organization_id, %1$L),
    %%1$s.owner_id, %%1$s.team_id, %2$s, array_remove(ARRAY[%3$s]::text[], NULL), CASE WHEN %%1$s.custom_fields = ''{}'' THEN ''{}''
    ELSE %%1$s.custom_fields - ARRAY(SELECT u.key FROM app.unsearched_keys u
      WHERE u.organization_id = %%1$s.organization_id AND u.object = %1$L) END)', object, texts, phones);

  EXECUTE format($function$
    CREATE OR REPLACE FUNCTION app.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        INSERT INTO app.search_documents VALUES (%s);
      ELSIF TG_OP = 'UPDATE' AND NEW.deleted_at IS NULL THEN
        INSERT INTO app.search_documents VALUES (%2$s)
        ON CONFLICT ON CONSTRAINT search_documents_pkey DO UPDATE SET title = excluded.title, words = excluded.words
         WHERE search_documents.title <> excluded.title OR search_documents.words <> excluded.words;
      ELSE
        DELETE FROM app.search_documents d
         WHERE d.organization_id = OLD.organization_id AND d.object = %L AND d.record_id = OLD.id;
      END IF;
      RETURN NULL;
    END $$ $function$, 'search_' || kind, format(document, 'NEW'), object);
  EXECUTE format('REVOKE ALL ON FUNCTION app.%I() FROM PUBLIC', 'search_' || kind);
  EXECUTE format($function$
    CREATE OR REPLACE FUNCTION app.%I(r %s) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
      IF r.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND r.deleted_at IS NULL THEN
        INSERT INTO app.search_documents VALUES (%s)
        ON CONFLICT ON CONSTRAINT search_documents_pkey DO UPDATE SET title = excluded.title, words = excluded.words
         WHERE search_documents.title <> excluded.title OR search_documents.words <> excluded.words;
      END IF;
    END $$ $function$, 'search_again_' || kind, source, format(document, 'r'));
  EXECUTE format('REVOKE ALL ON FUNCTION app.%I(%s) FROM PUBLIC', 'search_again_' || kind, source);
  EXECUTE format('GRANT EXECUTE ON FUNCTION app.%I(%s) TO zenith_app', 'search_again_' || kind, source);
  EXECUTE format('CREATE OR REPLACE TRIGGER search_insert AFTER INSERT ON %s FOR EACH ROW WHEN (NEW.deleted_at IS NULL)
    EXECUTE FUNCTION app.%I()', source, 'search_' || kind);
  EXECUTE format('CREATE OR REPLACE TRIGGER search_update AFTER UPDATE ON %s FOR EACH ROW WHEN (%s
      OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.owner_id <> NEW.owner_id OR OLD.team_id IS DISTINCT FROM NEW.team_id
      OR OLD.custom_fields <> NEW.custom_fields) EXECUTE FUNCTION app.%I()', source, changed, 'search_' || kind);
  EXECUTE format('CREATE OR REPLACE TRIGGER search_delete AFTER DELETE ON %s FOR EACH ROW
    EXECUTE FUNCTION app.%I()', source, 'search_' || kind);

  DELETE FROM app.search_documents d WHERE d.object = search_in.object;
  -- The owner sees the rows for as long as row-level security does not hold it. In their order, so that the young stand together.
  EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', source);
  EXECUTE format('INSERT INTO app.search_documents SELECT %s FROM %s r WHERE r.deleted_at IS NULL ORDER BY r.organization_id, r.id',
    format(document, 'r'), source);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', source);
END $search$;
--> statement-breakpoint
-- Values that are no texts for people were searched until now. The owner sees the rows for as long as row-level security does not hold it.
ALTER TABLE public.crm_custom_fields NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
UPDATE public.crm_custom_fields SET searchable = false, search_state = 'none'
 WHERE type NOT IN ('text', 'longText', 'select', 'multiSelect', 'url', 'email', 'phone');
--> statement-breakpoint
ALTER TABLE public.crm_custom_fields FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
SELECT app.search_records(true);
