DROP INDEX "crm_events_record_idx";--> statement-breakpoint
CREATE INDEX "crm_accounts_deleted_idx" ON "crm_accounts" USING btree ("organization_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_deleted_owner_idx" ON "crm_accounts" USING btree ("organization_id","owner_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_accounts_parent_account_reference_idx" ON "crm_accounts" USING btree ("organization_id","parent_account_id") WHERE parent_account_id is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_deleted_idx" ON "crm_contacts" USING btree ("organization_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_deleted_owner_idx" ON "crm_contacts" USING btree ("organization_id","owner_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_account_reference_idx" ON "crm_contacts" USING btree ("organization_id","account_id") WHERE account_id is not null;--> statement-breakpoint
CREATE INDEX "crm_contacts_reports_to_reference_idx" ON "crm_contacts" USING btree ("organization_id","reports_to_id") WHERE reports_to_id is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_deleted_idx" ON "crm_leads" USING btree ("organization_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_deleted_owner_idx" ON "crm_leads" USING btree ("organization_id","owner_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_converted_account_reference_idx" ON "crm_leads" USING btree ("organization_id","converted_account_id") WHERE converted_account_id is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_converted_contact_reference_idx" ON "crm_leads" USING btree ("organization_id","converted_contact_id") WHERE converted_contact_id is not null;--> statement-breakpoint
CREATE INDEX "crm_leads_converted_opportunity_reference_idx" ON "crm_leads" USING btree ("organization_id","converted_opportunity_id") WHERE converted_opportunity_id is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_deleted_idx" ON "crm_opportunities" USING btree ("organization_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_deleted_owner_idx" ON "crm_opportunities" USING btree ("organization_id","owner_id","deleted_at","id") WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_account_reference_idx" ON "crm_opportunities" USING btree ("organization_id","account_id") WHERE account_id is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_primary_contact_reference_idx" ON "crm_opportunities" USING btree ("organization_id","primary_contact_id") WHERE primary_contact_id is not null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_origin_lead_reference_idx" ON "crm_opportunities" USING btree ("organization_id","origin_lead_id") WHERE origin_lead_id is not null;--> statement-breakpoint
CREATE INDEX "crm_events_record_idx" ON "crm_events" USING btree ("organization_id","record_id","version","id");