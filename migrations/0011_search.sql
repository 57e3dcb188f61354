-- Search. Full text and similarity take operators that are not leakproof, so that below row-level security no index serves them.
-- What is searched is kept apart therefore, in a table that only the owner of the schema may touch: triggers of the record tables write
-- it in the transaction of the change, and SECURITY DEFINER functions read it for the tenant of the connection's claim alone. They
-- answer with ids, which mean something only to who joins them with the record table, under row-level security and with the
-- predicate of the caller's rights.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
--> statement-breakpoint
CREATE EXTENSION IF NOT EXISTS unaccent;
--> statement-breakpoint
-- One row for each live record. Without a policy, which would hold the owner, too, and cost the functions the indexes again.
CREATE TABLE app.search_documents (
  organization_id uuid NOT NULL,
  object text NOT NULL,
  record_id uuid NOT NULL,
  -- The name, folded.
  title text NOT NULL,
  -- Every lexeme begins with the realm, so that a search reads those of one kind of record of one tenant: the realm alone, the words,
  -- '>' and '<' with the digits of a telephone number forwards and backwards, '@' with the owner and '#' with the team.
  words tsvector NOT NULL,
  PRIMARY KEY (organization_id, object, record_id)
);
--> statement-breakpoint
-- Without case and accents. Most text is ASCII, which takes the short way.
CREATE FUNCTION app.fold(given text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  IF octet_length(given) = char_length(given) THEN
    RETURN lower(given);
  END IF;
  RETURN lower(unaccent(normalize(given, NFKC)));
END $$;
--> statement-breakpoint
-- The words of a folded text, each behind the prefix; also empty ones. What separates words is the same in every locale.
CREATE FUNCTION app.words(folded text, prefix text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  -- A lexeme has less than 2 KiB.
  IF octet_length(folded) > 2000 THEN
    folded := regexp_replace(folded, '(\S{60})', '\1 ', 'g');
  END IF;
  RETURN string_to_array(prefix || regexp_replace(folded,
    '[\u0001-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u2e00-\u2e7f\u3000-\u303f\ufe00-\ufe0f\ufeff]+', ' ' || prefix, 'g'), ' ');
END $$;
--> statement-breakpoint
-- The digits of a telephone number, without the zeros that stand for a country code or beside it.
CREATE FUNCTION app.digits(phone text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ltrim(translate(replace(phone, '(0)', ''), '+-()/. ', ''), '0')
$$;
--> statement-breakpoint
-- What begins the lexemes of a kind of record of a tenant. Short; should two be the same, the tenant is compared as well.
CREATE FUNCTION app.realm(organization uuid, object text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT substr(md5(organization::text || object), 1, 8)
$$;
--> statement-breakpoint
-- The lexemes of a record. Of its custom fields the texts count. Runs with every write: few steps, and nothing that needs a plan.
CREATE FUNCTION app.lexemes(realm text, owner uuid, team uuid, texts text, phones text[], custom jsonb) RETURNS tsvector
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  found text[];
  phone text;
BEGIN
  IF custom <> '{}' THEN
    -- As JSON, which writes the end of a line as two characters.
    texts := texts || left(replace(replace(jsonb_path_query_array(custom, '$.* ? (@.type() == "string")')::text, '\n', ' '), '\t', ' '), 2000);
  END IF;
  IF octet_length(texts) = char_length(texts) THEN
    found := app.words(lower(texts), realm);
  ELSE
    found := app.words(app.fold(texts), realm);
  END IF;
  found := found || ARRAY[realm || '@' || owner, coalesce(realm || '#' || team, realm)];
  FOREACH phone IN ARRAY phones LOOP
    phone := app.digits(phone);
    IF length(phone) >= 5 THEN
      found := found || ARRAY[realm || '>' || phone, realm || '<' || reverse(phone)];
    END IF;
  END LOOP;
  RETURN array_to_tsvector(found);
END $$;
--> statement-breakpoint
-- Makes a record table searched, and once more when its columns have changed: the triggers, and the documents of what is there.
-- Searched are the columns of text that are called like names, addresses and numbers (src/records/search.ts knows the same ones).
CREATE FUNCTION app.search_in(source regclass, object text) RETURNS void LANGUAGE plpgsql AS $search$
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
  document := format('%%1$s.organization_id, %L, %%1$s.id, app.fold(%%1$s.name), app.lexemes(app.realm(%%1$s.organization_id, %L),
    %%1$s.owner_id, %%1$s.team_id, %s, array_remove(ARRAY[%s]::text[], NULL), %%1$s.custom_fields)', object, object, texts, phones);

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
-- Run by every migration run: makes every record table searched that is not yet; all of them once more where asked, as after loading
-- rows without triggers. The kind of record is the singular of the table.
CREATE FUNCTION app.search_records(again boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  source regclass;
BEGIN
  -- An index is built in a third of the time that it takes to fill one.
  IF again OR NOT EXISTS (SELECT FROM app.search_documents) THEN
    TRUNCATE app.search_documents;
    DROP INDEX IF EXISTS app.search_documents_idx;
  END IF;
  FOR source IN
    SELECT c.oid FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
             AND a.attname IN ('organization_id', 'id', 'name', 'owner_id', 'team_id', 'custom_fields', 'deleted_at')) = 7
       AND (again OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'search_insert'))
  LOOP
    PERFORM app.search_in(source, regexp_replace(regexp_replace(regexp_replace(source::text, '^(public\.)?crm_', ''), 'ies$', 'y'), 's$', ''));
  END LOOP;
  -- Every search reads the whole pending list, so it is kept short.
  CREATE INDEX IF NOT EXISTS search_documents_idx ON app.search_documents
    USING gin (words, title gin_trgm_ops) WITH (gin_pending_list_limit = 256);
END $$;
--> statement-breakpoint
-- What a search asks of the lexemes: that each of its words begins one, or that it is the beginning or the end of a telephone number.
-- A single letter or digit begins too many, and has to be a whole word. Null without any word.
CREATE FUNCTION app.wanted(realm text, folded text) RETURNS tsquery LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  terms text;
  digits text;
BEGIN
  SELECT string_agg(DISTINCT format(CASE WHEN octet_length(word) = 1 THEN '''%s''' ELSE '''%s'':*' END, realm || left(word, 60)), ' & ')
    INTO terms FROM unnest(app.words(folded, '')) word WHERE word <> '';
  IF folded ~ '[^-0-9+()/. ]' THEN
    RETURN terms;
  END IF;
  digits := app.digits(folded);
  IF length(digits) < 5 THEN
    RETURN terms;
  END IF;
  -- One may be written with the country and the other without.
  RETURN format('%s | ''%s'':* | ''%s'':*', terms, realm || '>' || digits, realm || '<' || reverse(right(digits, 8)));
END $$;
--> statement-breakpoint
-- The library has to be there before a function may set something of it.
SELECT similarity('', '');
--> statement-breakpoint
-- The records of a kind in the tenant of the claim that a search finds. Scores from 0.5 on are of words, below that of similar names.
-- Considers "most" matches; where there are more, also the matches among the 5,000 youngest records. Similar names are looked for
-- where fewer than 50 records match, and not to numbers. "owner" and "teams" leave only records of these; they narrow, and open nothing.
CREATE FUNCTION app.search(object text, q text, owner uuid, teams uuid[], most integer) RETURNS TABLE (record_id uuid, score real)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp SET pg_trgm.word_similarity_threshold = 0.6 SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
  organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
  realm text := app.realm(organization, object);
  folded text := app.fold(q);
  asked tsquery := app.wanted(realm, folded);
  reached tsquery;
BEGIN
  IF organization IS NULL OR asked IS NULL THEN
    RETURN;
  END IF;
  reached := format('''%s''', realm);
  IF owner IS NOT NULL THEN
    SELECT string_agg(format('''%s''', lexeme), ' | ') INTO reached
      FROM unnest(ARRAY[realm || '@' || owner] || ARRAY(SELECT realm || '#' || team FROM unnest(teams) team)) lexeme;
    asked := reached && asked;
  END IF;
  RETURN QUERY
  WITH matching AS MATERIALIZED (
    SELECT d.record_id, d.title FROM app.search_documents d
     WHERE d.words @@ asked AND d.organization_id = organization AND d.object = search.object LIMIT most
  ), youngest AS (
    SELECT d.record_id, d.title FROM (
      SELECT y.record_id, y.title, y.words FROM app.search_documents y
       WHERE y.organization_id = organization AND y.object = search.object ORDER BY y.record_id DESC LIMIT 5000) d
     WHERE (SELECT count(*) FROM matching) >= most AND d.words @@ asked LIMIT most
  ), alike AS (
    SELECT d.record_id, d.title FROM app.search_documents d
     WHERE (SELECT count(*) FROM matching) < 50 AND folded ~ '^[^0-9]{4,}$' AND folded <% d.title
       AND d.words @@ reached AND d.organization_id = organization AND d.object = search.object LIMIT 300
  ), found AS (
    SELECT m.record_id, 0.5 + similarity(folded, m.title) / 2 AS score FROM matching m
    UNION ALL SELECT y.record_id, 0.5 + similarity(folded, y.title) / 2 FROM youngest y
    UNION ALL SELECT a.record_id, word_similarity(folded, a.title) / 2 FROM alike a
  )
  SELECT f.record_id, max(f.score)::real FROM found f GROUP BY 1;
END $$;
--> statement-breakpoint
-- The records of a kind in the tenant of the claim whose names are similar, the most similar first; considers 1,000. A low threshold
-- makes it read many: below 0.3 it is raised.
CREATE FUNCTION app.similar_records(object text, name text, threshold real, max integer) RETURNS TABLE (record_id uuid, score real)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = pg_catalog, public, pg_temp SET pg_trgm.similarity_threshold = 0.3 SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
  organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
  folded text := app.fold(name);
  reached tsquery;
BEGIN
  IF organization IS NULL THEN
    RETURN;
  END IF;
  reached := format('''%s''', app.realm(organization, object));
  PERFORM set_config('pg_trgm.similarity_threshold', least(greatest(threshold, 0.3), 1)::text, true);
  RETURN QUERY
  SELECT c.record_id, c.score FROM (
    SELECT d.record_id, similarity(d.title, folded) AS score FROM app.search_documents d
     WHERE d.title % folded AND d.words @@ reached AND d.organization_id = organization AND d.object = similar_records.object LIMIT 1000) c
   ORDER BY c.score DESC, c.record_id LIMIT max;
END $$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION app.search_in(regclass, text), app.search_records(boolean), app.search(text, text, uuid, uuid[], integer),
  app.similar_records(text, text, real, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION app.search(text, text, uuid, uuid[], integer), app.similar_records(text, text, real, integer) TO zenith_app;
