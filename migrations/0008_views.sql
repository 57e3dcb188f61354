CREATE TABLE "crm_views" (
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
	"object" text NOT NULL,
	"sharing" text NOT NULL,
	"team_id" uuid,
	"columns" jsonb NOT NULL,
	"filter" jsonb,
	"sort" jsonb NOT NULL,
	CONSTRAINT "crm_views_organization_id_id_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "crm_views_sharing_check" CHECK (sharing in ('private', 'team', 'organization')),
	CONSTRAINT "crm_views_team_check" CHECK ((sharing = 'team') = (team_id is not null))
);
--> statement-breakpoint
ALTER TABLE "crm_views" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_views" ADD CONSTRAINT "crm_views_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_views" ADD CONSTRAINT "crm_views_team_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_views_created_at_idx" ON "crm_views" USING btree ("organization_id","created_at","id");--> statement-breakpoint
CREATE INDEX "crm_views_updated_at_idx" ON "crm_views" USING btree ("organization_id","updated_at","id");--> statement-breakpoint
CREATE INDEX "crm_views_name_idx" ON "crm_views" USING btree ("organization_id","name","id");--> statement-breakpoint
CREATE INDEX "crm_views_owner_id_idx" ON "crm_views" USING btree ("organization_id","owner_id","name","id");--> statement-breakpoint
CREATE INDEX "crm_views_sharing_idx" ON "crm_views" USING btree ("organization_id","sharing","team_id","name","id");--> statement-breakpoint
CREATE POLICY "crm_views_tenant" ON "crm_views" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));