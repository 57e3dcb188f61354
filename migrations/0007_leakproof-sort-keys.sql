DROP INDEX "crm_leads_score_idx";--> statement-breakpoint
DROP INDEX "crm_opportunities_amount_idx";--> statement-breakpoint
DROP INDEX "crm_opportunities_expected_close_date_key_idx";--> statement-breakpoint
CREATE INDEX "crm_leads_score_idx" ON "crm_leads" USING btree ("organization_id",(case when score is null then -1 else score end),"id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_amount_idx" ON "crm_opportunities" USING btree ("organization_id",(case when amount_minor is null then -9223372036854775807 else amount_minor end),"id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_expected_close_date_key_idx" ON "crm_opportunities" USING btree ("organization_id",(case when expected_close_date is null then '-infinity'::date else expected_close_date end),"id") WHERE deleted_at is null;