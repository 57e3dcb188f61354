ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_1" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_2" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_3" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_4" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_5" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_6" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_7" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_8" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_9" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD COLUMN "custom_key_10" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_1" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_2" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_3" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_4" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_5" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_6" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_7" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_8" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_9" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD COLUMN "custom_key_10" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_1" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_2" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_3" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_4" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_5" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_6" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_7" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_8" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_9" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_leads" ADD COLUMN "custom_key_10" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_1" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_2" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_3" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_4" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_5" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_6" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_7" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_8" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_9" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD COLUMN "custom_key_10" text collate "C";--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "filterable" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "index_state" text DEFAULT 'none' NOT NULL;--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "slot" integer;--> statement-breakpoint
ALTER TABLE "crm_custom_fields" ADD COLUMN "indexed_to" uuid;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_1_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_1","created_at","id") WHERE deleted_at is null and custom_key_1 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_2_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_2","created_at","id") WHERE deleted_at is null and custom_key_2 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_3_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_3","created_at","id") WHERE deleted_at is null and custom_key_3 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_4_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_4","created_at","id") WHERE deleted_at is null and custom_key_4 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_5_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_5","created_at","id") WHERE deleted_at is null and custom_key_5 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_6_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_6","created_at","id") WHERE deleted_at is null and custom_key_6 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_7_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_7","created_at","id") WHERE deleted_at is null and custom_key_7 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_8_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_8","created_at","id") WHERE deleted_at is null and custom_key_8 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_9_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_9","created_at","id") WHERE deleted_at is null and custom_key_9 is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_custom_key_10_idx" ON "crm_accounts" USING btree ("organization_id","custom_key_10","created_at","id") WHERE deleted_at is null and custom_key_10 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_1_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_1","created_at","id") WHERE deleted_at is null and custom_key_1 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_2_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_2","created_at","id") WHERE deleted_at is null and custom_key_2 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_3_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_3","created_at","id") WHERE deleted_at is null and custom_key_3 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_4_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_4","created_at","id") WHERE deleted_at is null and custom_key_4 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_5_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_5","created_at","id") WHERE deleted_at is null and custom_key_5 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_6_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_6","created_at","id") WHERE deleted_at is null and custom_key_6 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_7_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_7","created_at","id") WHERE deleted_at is null and custom_key_7 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_8_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_8","created_at","id") WHERE deleted_at is null and custom_key_8 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_9_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_9","created_at","id") WHERE deleted_at is null and custom_key_9 is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_custom_key_10_idx" ON "crm_contacts" USING btree ("organization_id","custom_key_10","created_at","id") WHERE deleted_at is null and custom_key_10 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_1_idx" ON "crm_leads" USING btree ("organization_id","custom_key_1","created_at","id") WHERE deleted_at is null and custom_key_1 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_2_idx" ON "crm_leads" USING btree ("organization_id","custom_key_2","created_at","id") WHERE deleted_at is null and custom_key_2 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_3_idx" ON "crm_leads" USING btree ("organization_id","custom_key_3","created_at","id") WHERE deleted_at is null and custom_key_3 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_4_idx" ON "crm_leads" USING btree ("organization_id","custom_key_4","created_at","id") WHERE deleted_at is null and custom_key_4 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_5_idx" ON "crm_leads" USING btree ("organization_id","custom_key_5","created_at","id") WHERE deleted_at is null and custom_key_5 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_6_idx" ON "crm_leads" USING btree ("organization_id","custom_key_6","created_at","id") WHERE deleted_at is null and custom_key_6 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_7_idx" ON "crm_leads" USING btree ("organization_id","custom_key_7","created_at","id") WHERE deleted_at is null and custom_key_7 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_8_idx" ON "crm_leads" USING btree ("organization_id","custom_key_8","created_at","id") WHERE deleted_at is null and custom_key_8 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_9_idx" ON "crm_leads" USING btree ("organization_id","custom_key_9","created_at","id") WHERE deleted_at is null and custom_key_9 is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_custom_key_10_idx" ON "crm_leads" USING btree ("organization_id","custom_key_10","created_at","id") WHERE deleted_at is null and custom_key_10 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_1_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_1","created_at","id") WHERE deleted_at is null and custom_key_1 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_2_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_2","created_at","id") WHERE deleted_at is null and custom_key_2 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_3_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_3","created_at","id") WHERE deleted_at is null and custom_key_3 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_4_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_4","created_at","id") WHERE deleted_at is null and custom_key_4 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_5_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_5","created_at","id") WHERE deleted_at is null and custom_key_5 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_6_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_6","created_at","id") WHERE deleted_at is null and custom_key_6 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_7_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_7","created_at","id") WHERE deleted_at is null and custom_key_7 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_8_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_8","created_at","id") WHERE deleted_at is null and custom_key_8 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_9_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_9","created_at","id") WHERE deleted_at is null and custom_key_9 is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_custom_key_10_idx" ON "crm_opportunities" USING btree ("organization_id","custom_key_10","created_at","id") WHERE deleted_at is null and custom_key_10 is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "crm_custom_fields_slot" ON "crm_custom_fields" USING btree ("organization_id","object","slot");--> statement-breakpoint
CREATE INDEX "crm_custom_fields_pending_idx" ON "crm_custom_fields" USING btree ("updated_at","organization_id","id") WHERE index_state in ('building', 'clearing');--> statement-breakpoint
CREATE POLICY "crm_custom_fields_maintenance" ON "crm_custom_fields" AS PERMISSIVE FOR ALL TO "zenith_app" USING ((select current_setting('app.maintenance', true)) = 'on' and index_state in ('building', 'clearing')) WITH CHECK (false);