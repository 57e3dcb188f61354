CREATE TABLE "crm_custom_field_revisions" (
	"organization_id" uuid NOT NULL,
	"object" text NOT NULL,
	"revision" uuid NOT NULL,
	CONSTRAINT "crm_custom_field_revisions_organization_id_object_pk" PRIMARY KEY("organization_id","object")
);
--> statement-breakpoint
ALTER TABLE "crm_custom_field_revisions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_custom_field_values" (
	"organization_id" uuid NOT NULL,
	"field_id" uuid NOT NULL,
	"value_hash" text NOT NULL,
	"record_id" uuid NOT NULL,
	CONSTRAINT "crm_custom_field_values_organization_id_field_id_value_hash_pk" PRIMARY KEY("organization_id","field_id","value_hash")
);
--> statement-breakpoint
ALTER TABLE "crm_custom_field_values" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_custom_fields" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"object" text NOT NULL,
	"key" text NOT NULL,
	"type" text NOT NULL,
	"reference_object" text,
	"label" text NOT NULL,
	"description" text,
	"required" boolean NOT NULL,
	"is_unique" boolean NOT NULL,
	"default_value" jsonb,
	"options" jsonb NOT NULL,
	"pattern" text,
	"minimum" double precision,
	"maximum" double precision,
	"min_length" integer,
	"max_length" integer,
	"personal_data" boolean NOT NULL,
	"archived" boolean NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	CONSTRAINT "crm_custom_fields_organization_id_id_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "crm_custom_fields_object_check" CHECK (object in ('account', 'contact', 'lead', 'opportunity'))
);
--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_custom_field_revisions" ADD CONSTRAINT "crm_custom_field_revisions_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_custom_field_values" ADD CONSTRAINT "crm_custom_field_values_field_fk" FOREIGN KEY ("organization_id","field_id") REFERENCES "public"."crm_custom_fields"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD CONSTRAINT "crm_custom_fields_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_custom_field_values_record_idx" ON "crm_custom_field_values" USING btree ("organization_id","record_id");--> statement-breakpoint
CREATE UNIQUE INDEX "crm_custom_fields_key" ON "crm_custom_fields" USING btree ("organization_id","object","key");--> statement-breakpoint
CREATE INDEX "crm_custom_fields_created_idx" ON "crm_custom_fields" USING btree ("organization_id","created_at","id");--> statement-breakpoint
CREATE INDEX "crm_custom_fields_key_idx" ON "crm_custom_fields" USING btree ("organization_id","key","id");--> statement-breakpoint
CREATE POLICY "crm_custom_field_revisions_tenant" ON "crm_custom_field_revisions" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_custom_field_values_tenant" ON "crm_custom_field_values" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_custom_fields_tenant" ON "crm_custom_fields" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));