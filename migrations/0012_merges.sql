CREATE TABLE "crm_merge_losers" (
	"organization_id" uuid NOT NULL,
	"loser_id" uuid NOT NULL,
	"merge_id" uuid NOT NULL,
	CONSTRAINT "crm_merge_losers_organization_id_loser_id_merge_id_pk" PRIMARY KEY("organization_id","loser_id","merge_id")
);
--> statement-breakpoint
ALTER TABLE "crm_merge_losers" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_merge_references" (
	"organization_id" uuid NOT NULL,
	"merge_id" uuid NOT NULL,
	"object" text NOT NULL,
	"property" text NOT NULL,
	"record_id" uuid NOT NULL,
	"loser_id" uuid NOT NULL,
	CONSTRAINT "crm_merge_references_organization_id_merge_id_object_property_record_id_pk" PRIMARY KEY("organization_id","merge_id","object","property","record_id")
);
--> statement-breakpoint
ALTER TABLE "crm_merge_references" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_merges" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"object" text NOT NULL,
	"winner_id" uuid NOT NULL,
	"winner_version" integer,
	"loser_ids" jsonb NOT NULL,
	"merged_at" timestamp(3) with time zone NOT NULL,
	"merged_by_type" text NOT NULL,
	"merged_by_id" uuid,
	"undone_at" timestamp(3) with time zone,
	"undone_by_type" text,
	"undone_by_id" uuid,
	CONSTRAINT "crm_merges_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_merges" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_merge_losers" ADD CONSTRAINT "crm_merge_losers_merge_fk" FOREIGN KEY ("organization_id","merge_id") REFERENCES "public"."crm_merges"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_merge_references" ADD CONSTRAINT "crm_merge_references_merge_fk" FOREIGN KEY ("organization_id","merge_id") REFERENCES "public"."crm_merges"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_merge_losers_merge_idx" ON "crm_merge_losers" USING btree ("organization_id","merge_id");--> statement-breakpoint
CREATE INDEX "crm_merges_merged_idx" ON "crm_merges" USING btree ("organization_id","object","merged_at","id");--> statement-breakpoint
CREATE INDEX "crm_merges_winner_idx" ON "crm_merges" USING btree ("organization_id","winner_id","merged_at","id");--> statement-breakpoint
CREATE POLICY "crm_merge_losers_tenant" ON "crm_merge_losers" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_merge_references_tenant" ON "crm_merge_references" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_merges_tenant" ON "crm_merges" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
-- A UUID of version 7 (RFC 9562) for rows that a statement makes by itself; PostgreSQL has one of its own from version 18 on.
CREATE FUNCTION app.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid()) placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;
