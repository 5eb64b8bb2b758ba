-- SPDX-License-Identifier: Apache-2.0
-- What a claim of a user task writes (five rows, one transaction), on instances that nb_open() made.
create or replace procedure nb_open(first int, n int) language plpgsql as $$
declare i int; p text; t text; now_ timestamp; tid text; def text := 'order:1:def';
begin
 for i in first..first+n-1 loop
  p := md5('lp'||i); t := md5('lt'||i); now_ := clock_timestamp(); tid := 'domain-'||(i%50);
  insert into act_hi_procinst(id_,proc_inst_id_,business_key_,proc_def_key_,proc_def_id_,start_time_,start_act_id_,root_proc_inst_id_,tenant_id_,state_)
   values(p,p,'latency-'||i,'order',def,now_,'start',p,tid,'ACTIVE');
  insert into act_hi_actinst(id_,proc_def_key_,proc_def_id_,root_proc_inst_id_,proc_inst_id_,execution_id_,act_id_,act_name_,act_type_,task_id_,start_time_,act_inst_state_,sequence_counter_,tenant_id_)
   values('review:'||t,'order',def,p,p,p,'review','Review order','userTask',t,now_,0,2,tid);
  insert into act_ru_execution(id_,rev_,root_proc_inst_id_,proc_inst_id_,business_key_,proc_def_id_,act_id_,act_inst_id_,is_active_,is_concurrent_,is_scope_,is_event_scope_,suspension_state_,cached_ent_state_,sequence_counter_,tenant_id_,proc_def_key_)
   values(p,1,p,p,'latency-'||i,null,'review','review:'||t,true,false,true,false,1,18,2,tid,'order');
  insert into act_ru_task(id_,rev_,execution_id_,proc_inst_id_,name_,task_def_key_,priority_,create_time_,suspension_state_,tenant_id_,task_state_)
   values(t,1,p,p,'Review order','review',50,now_,1,tid,'Created');
  insert into act_hi_taskinst(id_,task_def_key_,proc_def_key_,proc_def_id_,root_proc_inst_id_,proc_inst_id_,execution_id_,act_inst_id_,name_,start_time_,priority_,tenant_id_,task_state_)
   values(t,'review','order',def,p,p,p,'review:'||t,'Review order',now_,50,tid,'Created');
  if i % 100 = 0 then commit; end if;
 end loop;
 commit;
end $$;

create or replace function nb_claim(i int, who text) returns void language plpgsql as $$
declare t text := md5('lt'||i); now_ timestamp := clock_timestamp();
begin
 insert into act_hi_identitylink(id_,timestamp_,type_,user_id_,task_id_,operation_type_,tenant_id_)
  values(md5(who||clock_timestamp()),now_,'assignee',who,t,'add','domain-'||(i%50));
 update act_ru_task set assignee_=who, rev_=rev_+1, last_updated_=now_, task_state_='Updated' where id_=t;
 update act_hi_actinst set assignee_=who where id_='review:'||t;
 update act_hi_taskinst set assignee_=who, task_state_='Updated' where id_=t;
end $$;
