CREATE TABLE "crm_segment_members" (
	"organization_id" uuid NOT NULL,
	"segment_id" uuid NOT NULL,
	"record_id" uuid NOT NULL,
	"added_at" timestamp(3) with time zone NOT NULL,
	"added_by_id" uuid NOT NULL,
	CONSTRAINT "crm_segment_members_organization_id_segment_id_record_id_pk" PRIMARY KEY("organization_id","segment_id","record_id")
);
--> statement-breakpoint
ALTER TABLE "crm_segment_members" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_segments" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"owner_id" uuid NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	"description" text,
	"object" text NOT NULL,
	"kind" text NOT NULL,
	"filter" jsonb,
	CONSTRAINT "crm_segments_organization_id_id_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "crm_segments_kind_check" CHECK (kind in ('static', 'dynamic')),
	CONSTRAINT "crm_segments_filter_check" CHECK (kind = 'dynamic' or filter is null)
);
--> statement-breakpoint
ALTER TABLE "crm_segments" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_followers" (
	"organization_id" uuid NOT NULL,
	"record_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"object" text NOT NULL,
	"followed_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "crm_followers_organization_id_record_id_user_id_pk" PRIMARY KEY("organization_id","record_id","user_id")
);
--> statement-breakpoint
ALTER TABLE "crm_followers" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_segment_members" ADD CONSTRAINT "crm_segment_members_segment_fk" FOREIGN KEY ("organization_id","segment_id") REFERENCES "public"."crm_segments"("organization_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_segments" ADD CONSTRAINT "crm_segments_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_followers" ADD CONSTRAINT "crm_followers_user_fk" FOREIGN KEY ("organization_id","user_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_segment_members_record_idx" ON "crm_segment_members" USING btree ("organization_id","record_id");--> statement-breakpoint
CREATE INDEX "crm_segments_created_at_idx" ON "crm_segments" USING btree ("organization_id","created_at","id");--> statement-breakpoint
CREATE INDEX "crm_segments_updated_at_idx" ON "crm_segments" USING btree ("organization_id","updated_at","id");--> statement-breakpoint
CREATE INDEX "crm_segments_name_idx" ON "crm_segments" USING btree ("organization_id","name","id");--> statement-breakpoint
CREATE INDEX "crm_segments_owner_id_idx" ON "crm_segments" USING btree ("organization_id","owner_id","name","id");--> statement-breakpoint
CREATE INDEX "crm_segments_object_idx" ON "crm_segments" USING btree ("organization_id","object","name","id");--> statement-breakpoint
CREATE INDEX "crm_followers_user_idx" ON "crm_followers" USING btree ("organization_id","user_id","object","followed_at","record_id");--> statement-breakpoint
CREATE POLICY "crm_segment_members_tenant" ON "crm_segment_members" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_segments_tenant" ON "crm_segments" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_followers_tenant" ON "crm_followers" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));