CREATE TABLE "crm_external_ids" (
	"organization_id" uuid NOT NULL,
	"object" text NOT NULL,
	"system" text NOT NULL,
	"external_id" text NOT NULL,
	"record_id" uuid NOT NULL,
	CONSTRAINT "crm_external_ids_organization_id_object_system_external_id_pk" PRIMARY KEY("organization_id","object","system","external_id")
);
--> statement-breakpoint
ALTER TABLE "crm_external_ids" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "external_ids" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "external_ids" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "external_ids" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "external_ids" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_external_ids" ADD CONSTRAINT "crm_external_ids_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_external_ids_record_idx" ON "crm_external_ids" USING btree ("organization_id","record_id");--> statement-breakpoint
CREATE POLICY "crm_external_ids_tenant" ON "crm_external_ids" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));