CREATE TABLE "crm_memberships" (
	"organization_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"role" text NOT NULL,
	"status" text NOT NULL,
	"title" text,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "crm_memberships_organization_id_user_id_pk" PRIMARY KEY("organization_id","user_id"),
	CONSTRAINT "crm_memberships_role_check" CHECK (role in ('owner', 'admin', 'manager', 'member', 'read_only')),
	CONSTRAINT "crm_memberships_status_check" CHECK (status in ('active', 'deactivated'))
);
--> statement-breakpoint
ALTER TABLE "crm_memberships" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_organizations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"locale" text,
	"time_zone" text,
	"currency" text DEFAULT 'EUR' NOT NULL,
	"fiscal_year_start_month" integer DEFAULT 1 NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "crm_organizations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_sessions" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"refreshed_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone NOT NULL,
	"revoked" boolean DEFAULT false NOT NULL,
	CONSTRAINT "crm_sessions_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_sessions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_team_members" (
	"organization_id" uuid NOT NULL,
	"team_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	CONSTRAINT "crm_team_members_organization_id_user_id_team_id_pk" PRIMARY KEY("organization_id","user_id","team_id")
);
--> statement-breakpoint
ALTER TABLE "crm_team_members" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_teams" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "crm_teams_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_teams" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_users" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"email_key" text GENERATED ALWAYS AS (lower(email)) STORED NOT NULL,
	"password_hash" text NOT NULL,
	"first_name" text,
	"last_name" text,
	"language" text,
	"time_zone" text,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "crm_users" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_idempotency_keys" (
	"organization_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text NOT NULL,
	"status" integer NOT NULL,
	"headers" jsonb NOT NULL,
	"body" text,
	"created_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "crm_idempotency_keys_organization_id_user_id_key_pk" PRIMARY KEY("organization_id","user_id","key")
);
--> statement-breakpoint
ALTER TABLE "crm_idempotency_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_accounts" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"owner_id" uuid NOT NULL,
	"team_id" uuid,
	"tags" jsonb NOT NULL,
	"custom_fields" jsonb NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	"deleted_at" timestamp(3) with time zone,
	"name" text NOT NULL,
	"legal_name" text,
	"domain" text,
	"website" text,
	"type" text,
	"industry" text,
	"phone" text,
	"email" text,
	"number_of_employees" integer,
	"annual_revenue_minor" bigint,
	"annual_revenue_currency" text,
	"description" text,
	"billing_address" jsonb,
	"shipping_address" jsonb,
	"parent_account_id" uuid,
	"source" text,
	"tax_id" text,
	"registration_number" text,
	"linkedin_url" text,
	"lifecycle_stage" text,
	CONSTRAINT "crm_accounts_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_accounts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_signing_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"public_key" text NOT NULL,
	"encrypted_private_key" text NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "crm_contacts" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"owner_id" uuid NOT NULL,
	"team_id" uuid,
	"tags" jsonb NOT NULL,
	"custom_fields" jsonb NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	"deleted_at" timestamp(3) with time zone,
	"first_name" text,
	"last_name" text NOT NULL,
	"name" text NOT NULL,
	"salutation" text,
	"title" text,
	"department" text,
	"email" text,
	"email_key" text GENERATED ALWAYS AS (lower(email)) STORED,
	"additional_emails" jsonb NOT NULL,
	"phone" text,
	"mobile_phone" text,
	"account_id" uuid,
	"reports_to_id" uuid,
	"mailing_address" jsonb,
	"birthdate" date,
	"language" text,
	"time_zone" text,
	"linkedin_url" text,
	"source" text,
	"do_not_call" boolean NOT NULL,
	"email_opt_out" boolean NOT NULL,
	"lifecycle_stage" text,
	"description" text,
	CONSTRAINT "crm_contacts_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_contacts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_leads" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"owner_id" uuid NOT NULL,
	"team_id" uuid,
	"tags" jsonb NOT NULL,
	"custom_fields" jsonb NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	"deleted_at" timestamp(3) with time zone,
	"first_name" text,
	"last_name" text,
	"company_name" text,
	"name" text NOT NULL,
	"title" text,
	"email" text,
	"email_key" text GENERATED ALWAYS AS (lower(email)) STORED,
	"phone" text,
	"mobile_phone" text,
	"website" text,
	"status" text NOT NULL,
	"unqualified_reason" text,
	"rating" text,
	"score" integer,
	"source" text,
	"source_detail" text,
	"utm" jsonb,
	"industry" text,
	"number_of_employees" integer,
	"annual_revenue_minor" bigint,
	"annual_revenue_currency" text,
	"address" jsonb,
	"description" text,
	"do_not_call" boolean NOT NULL,
	"email_opt_out" boolean NOT NULL,
	"converted_at" timestamp(3) with time zone,
	"converted_account_id" uuid,
	"converted_contact_id" uuid,
	"converted_opportunity_id" uuid,
	CONSTRAINT "crm_leads_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_leads" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_opportunities" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"version" integer NOT NULL,
	"owner_id" uuid NOT NULL,
	"team_id" uuid,
	"tags" jsonb NOT NULL,
	"custom_fields" jsonb NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" uuid,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"updated_by_type" text NOT NULL,
	"updated_by_id" uuid,
	"deleted_at" timestamp(3) with time zone,
	"name" text NOT NULL,
	"account_id" uuid,
	"primary_contact_id" uuid,
	"pipeline_id" uuid NOT NULL,
	"stage_id" uuid NOT NULL,
	"status" text NOT NULL,
	"amount_minor" bigint,
	"amount_currency" text,
	"probability" integer NOT NULL,
	"expected_close_date" date,
	"stage_entered_at" timestamp(3) with time zone NOT NULL,
	"closed_at" timestamp(3) with time zone,
	"lost_reason" text,
	"type" text,
	"source" text,
	"next_step" text,
	"competitor" text,
	"description" text,
	"origin_lead_id" uuid,
	CONSTRAINT "crm_opportunities_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_opportunities" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_pipelines" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"is_default" boolean NOT NULL,
	"position" integer NOT NULL,
	CONSTRAINT "crm_pipelines_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_pipelines" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_stages" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"pipeline_id" uuid NOT NULL,
	"key" text NOT NULL,
	"name" text NOT NULL,
	"position" integer NOT NULL,
	"type" text NOT NULL,
	"probability" integer NOT NULL,
	"forecast_category" text NOT NULL,
	CONSTRAINT "crm_stages_organization_id_id_pk" PRIMARY KEY("organization_id","id"),
	CONSTRAINT "crm_stages_pipeline_key" UNIQUE("organization_id","pipeline_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_stages" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_invitations" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"email" text NOT NULL,
	"email_key" text GENERATED ALWAYS AS (lower(email)) STORED NOT NULL,
	"role" text NOT NULL,
	"invited_by_id" uuid NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone NOT NULL,
	"accepted_at" timestamp(3) with time zone,
	"mailed_at" timestamp(3) with time zone,
	CONSTRAINT "crm_invitations_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_invitations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "crm_events" (
	"organization_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"transaction_id" bigint DEFAULT (pg_current_xact_id()::text)::bigint NOT NULL,
	"type" text NOT NULL,
	"object" text NOT NULL,
	"record_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"actor_type" text NOT NULL,
	"actor_id" uuid,
	"cause" text NOT NULL,
	"request_id" text NOT NULL,
	"changes" jsonb NOT NULL,
	"occurred_at" timestamp(3) with time zone NOT NULL,
	CONSTRAINT "crm_events_organization_id_id_pk" PRIMARY KEY("organization_id","id")
);
--> statement-breakpoint
ALTER TABLE "crm_events" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "crm_memberships" ADD CONSTRAINT "crm_memberships_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_memberships" ADD CONSTRAINT "crm_memberships_user_id_crm_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."crm_users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_sessions" ADD CONSTRAINT "crm_sessions_organization_id_user_id_crm_memberships_organization_id_user_id_fk" FOREIGN KEY ("organization_id","user_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_team_members" ADD CONSTRAINT "crm_team_members_organization_id_team_id_crm_teams_organization_id_id_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_team_members" ADD CONSTRAINT "crm_team_members_organization_id_user_id_crm_memberships_organization_id_user_id_fk" FOREIGN KEY ("organization_id","user_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_teams" ADD CONSTRAINT "crm_teams_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD CONSTRAINT "crm_accounts_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD CONSTRAINT "crm_accounts_team_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_accounts" ADD CONSTRAINT "crm_accounts_parent_account_fk" FOREIGN KEY ("organization_id","parent_account_id") REFERENCES "public"."crm_accounts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD CONSTRAINT "crm_contacts_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD CONSTRAINT "crm_contacts_team_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD CONSTRAINT "crm_contacts_account_fk" FOREIGN KEY ("organization_id","account_id") REFERENCES "public"."crm_accounts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_contacts" ADD CONSTRAINT "crm_contacts_reports_to_fk" FOREIGN KEY ("organization_id","reports_to_id") REFERENCES "public"."crm_contacts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD CONSTRAINT "crm_leads_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD CONSTRAINT "crm_leads_team_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD CONSTRAINT "crm_leads_converted_account_fk" FOREIGN KEY ("organization_id","converted_account_id") REFERENCES "public"."crm_accounts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD CONSTRAINT "crm_leads_converted_contact_fk" FOREIGN KEY ("organization_id","converted_contact_id") REFERENCES "public"."crm_contacts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_leads" ADD CONSTRAINT "crm_leads_converted_opportunity_fk" FOREIGN KEY ("organization_id","converted_opportunity_id") REFERENCES "public"."crm_opportunities"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_owner_fk" FOREIGN KEY ("organization_id","owner_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_team_fk" FOREIGN KEY ("organization_id","team_id") REFERENCES "public"."crm_teams"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_account_fk" FOREIGN KEY ("organization_id","account_id") REFERENCES "public"."crm_accounts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_primary_contact_fk" FOREIGN KEY ("organization_id","primary_contact_id") REFERENCES "public"."crm_contacts"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_origin_lead_fk" FOREIGN KEY ("organization_id","origin_lead_id") REFERENCES "public"."crm_leads"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_opportunities" ADD CONSTRAINT "crm_opportunities_stage_fk" FOREIGN KEY ("organization_id","pipeline_id","stage_id") REFERENCES "public"."crm_stages"("organization_id","pipeline_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_pipelines" ADD CONSTRAINT "crm_pipelines_organization_id_crm_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "public"."crm_organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_stages" ADD CONSTRAINT "crm_stages_organization_id_pipeline_id_crm_pipelines_organization_id_id_fk" FOREIGN KEY ("organization_id","pipeline_id") REFERENCES "public"."crm_pipelines"("organization_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "crm_invitations" ADD CONSTRAINT "crm_invitations_organization_id_invited_by_id_crm_memberships_organization_id_user_id_fk" FOREIGN KEY ("organization_id","invited_by_id") REFERENCES "public"."crm_memberships"("organization_id","user_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "crm_memberships_created_idx" ON "crm_memberships" USING btree ("organization_id","created_at","user_id");--> statement-breakpoint
CREATE INDEX "crm_memberships_role_idx" ON "crm_memberships" USING btree ("organization_id","role","created_at","user_id");--> statement-breakpoint
CREATE INDEX "crm_memberships_status_idx" ON "crm_memberships" USING btree ("organization_id","status","created_at","user_id");--> statement-breakpoint
CREATE INDEX "crm_memberships_user_idx" ON "crm_memberships" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "crm_sessions_user_idx" ON "crm_sessions" USING btree ("organization_id","user_id");--> statement-breakpoint
CREATE INDEX "crm_sessions_expires_idx" ON "crm_sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "crm_users_email_key" ON "crm_users" USING btree ("email_key");--> statement-breakpoint
CREATE INDEX "crm_idempotency_keys_created_idx" ON "crm_idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "crm_accounts_created_at_idx" ON "crm_accounts" USING btree ("organization_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_updated_at_idx" ON "crm_accounts" USING btree ("organization_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_name_idx" ON "crm_accounts" USING btree ("organization_id","name","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_owner_id_idx" ON "crm_accounts" USING btree ("organization_id","owner_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_team_id_idx" ON "crm_accounts" USING btree ("organization_id","team_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_industry_idx" ON "crm_accounts" USING btree ("organization_id","industry","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_type_idx" ON "crm_accounts" USING btree ("organization_id","type","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_accounts_parent_account_id_idx" ON "crm_accounts" USING btree ("organization_id","parent_account_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "crm_accounts_domain_key" ON "crm_accounts" USING btree ("organization_id","domain") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_created_at_idx" ON "crm_contacts" USING btree ("organization_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_updated_at_idx" ON "crm_contacts" USING btree ("organization_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_name_idx" ON "crm_contacts" USING btree ("organization_id","name","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_owner_id_idx" ON "crm_contacts" USING btree ("organization_id","owner_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_team_id_idx" ON "crm_contacts" USING btree ("organization_id","team_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_account_id_idx" ON "crm_contacts" USING btree ("organization_id","account_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_contacts_lifecycle_stage_idx" ON "crm_contacts" USING btree ("organization_id","lifecycle_stage","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "crm_contacts_email_key" ON "crm_contacts" USING btree ("organization_id","email_key") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_created_at_idx" ON "crm_leads" USING btree ("organization_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_updated_at_idx" ON "crm_leads" USING btree ("organization_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_name_idx" ON "crm_leads" USING btree ("organization_id","name","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_score_idx" ON "crm_leads" USING btree ("organization_id",coalesce(score, -1),"id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_owner_id_idx" ON "crm_leads" USING btree ("organization_id","owner_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_team_id_idx" ON "crm_leads" USING btree ("organization_id","team_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_status_idx" ON "crm_leads" USING btree ("organization_id","status","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_rating_idx" ON "crm_leads" USING btree ("organization_id","rating","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_source_idx" ON "crm_leads" USING btree ("organization_id","source","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_leads_email_idx" ON "crm_leads" USING btree ("organization_id","email_key","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_created_at_idx" ON "crm_opportunities" USING btree ("organization_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_updated_at_idx" ON "crm_opportunities" USING btree ("organization_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_name_idx" ON "crm_opportunities" USING btree ("organization_id","name","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_amount_idx" ON "crm_opportunities" USING btree ("organization_id",coalesce(amount_minor, -9223372036854775807),"id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_expected_close_date_key_idx" ON "crm_opportunities" USING btree ("organization_id",coalesce(expected_close_date, '-infinity'::date),"id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_owner_id_idx" ON "crm_opportunities" USING btree ("organization_id","owner_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_team_id_idx" ON "crm_opportunities" USING btree ("organization_id","team_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_account_id_idx" ON "crm_opportunities" USING btree ("organization_id","account_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_stage_id_idx" ON "crm_opportunities" USING btree ("organization_id","stage_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_pipeline_id_idx" ON "crm_opportunities" USING btree ("organization_id","pipeline_id","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_status_idx" ON "crm_opportunities" USING btree ("organization_id","status","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "crm_opportunities_expected_close_date_idx" ON "crm_opportunities" USING btree ("organization_id","expected_close_date","created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "crm_pipelines_default_key" ON "crm_pipelines" USING btree ("organization_id") WHERE is_default;--> statement-breakpoint
CREATE UNIQUE INDEX "crm_invitations_email_key" ON "crm_invitations" USING btree ("organization_id","email_key") WHERE accepted_at is null;--> statement-breakpoint
CREATE INDEX "crm_invitations_unsent_idx" ON "crm_invitations" USING btree ("created_at") WHERE mailed_at is null;--> statement-breakpoint
CREATE INDEX "crm_events_record_idx" ON "crm_events" USING btree ("organization_id","record_id","id");--> statement-breakpoint
CREATE INDEX "crm_events_feed_idx" ON "crm_events" USING btree ("organization_id","transaction_id","id");--> statement-breakpoint
CREATE POLICY "crm_memberships_tenant" ON "crm_memberships" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid) or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_organizations_tenant" ON "crm_organizations" AS PERMISSIVE FOR ALL TO "zenith_app" USING (id = (select nullif(current_setting('app.organization_id', true), '')::uuid) or exists (select from crm_memberships m where m.organization_id = crm_organizations.id and m.user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))) WITH CHECK (id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_sessions_tenant" ON "crm_sessions" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid) or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid) or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_sessions_maintenance" ON "crm_sessions" AS PERMISSIVE FOR ALL TO "zenith_app" USING ((select current_setting('app.maintenance', true)) = 'on' and expires_at < now()) WITH CHECK (false);--> statement-breakpoint
CREATE POLICY "crm_team_members_tenant" ON "crm_team_members" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_teams_tenant" ON "crm_teams" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_users_tenant" ON "crm_users" AS PERMISSIVE FOR ALL TO "zenith_app" USING (id = (select nullif(current_setting('app.user_id', true), '')::uuid) or email_key = (select nullif(current_setting('app.email', true), '')) or exists (select from crm_memberships m where m.organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid) and m.user_id = crm_users.id)) WITH CHECK (id = (select nullif(current_setting('app.user_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_idempotency_keys_tenant" ON "crm_idempotency_keys" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_idempotency_keys_maintenance" ON "crm_idempotency_keys" AS PERMISSIVE FOR ALL TO "zenith_app" USING ((select current_setting('app.maintenance', true)) = 'on' and created_at < now() - interval '24 hours') WITH CHECK (false);--> statement-breakpoint
CREATE POLICY "crm_accounts_tenant" ON "crm_accounts" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_contacts_tenant" ON "crm_contacts" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_leads_tenant" ON "crm_leads" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_opportunities_tenant" ON "crm_opportunities" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_pipelines_tenant" ON "crm_pipelines" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_stages_tenant" ON "crm_stages" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_invitations_tenant" ON "crm_invitations" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));--> statement-breakpoint
CREATE POLICY "crm_invitations_maintenance" ON "crm_invitations" AS PERMISSIVE FOR ALL TO "zenith_app" USING ((select current_setting('app.maintenance', true)) = 'on' and mailed_at is null and expires_at > now()) WITH CHECK (false);--> statement-breakpoint
CREATE POLICY "crm_events_tenant" ON "crm_events" AS PERMISSIVE FOR ALL TO "zenith_app" USING (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)) WITH CHECK (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));