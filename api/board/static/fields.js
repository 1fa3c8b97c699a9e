// What the fields of the interface's answers are called, Chinese and English.
const FIELDS = {
  value: ["数值", "value"], numerator: ["分子", "numerator"], denominator: ["分母", "denominator"], unit: ["单位", "unit"],
  coverage: ["覆盖率", "coverage"], reason: ["原因", "reason"], revision: ["修订次数", "revisions"], closed: ["时段已结束", "period has ended"],
  grain: ["时段", "grain"], period: ["时段起点", "period begins"], computed: ["计算时间", "computed at"], code_version: ["程序版本", "program version"],
  run_id: ["计算批次", "run"], lineage: ["依据", "rests on"], scope: ["范围", "scope"], superseded: ["被取代于", "superseded"],
  point_id: ["测点", "point"], seconds: ["时长（秒）", "length (s)"], measured: ["实测", "measured"], estimated: ["估算", "estimated"],
  measured_s: ["实测秒数", "measured (s)"], estimated_s: ["估算秒数", "estimated (s)"], missing_s: ["缺失秒数", "missing (s)"],
  held: ["待人工判定", "held for a person"], flags: ["标志", "flags"], provisional: ["暂定", "provisional"],
  pack_id: ["规划", "plan"], pack_version: ["规划版本", "plan version"], target_id: ["目标", "target"], as_of: ["截至", "as of"], state: ["状态", "state"],
  sentence_zh: ["说明", "in words"], sentence_en: ["说明", "in words"], target_value: ["目标值", "target value"], required: ["当前应达", "path now"],
  projection: ["预计", "projected"], current: ["当前有效", "holds now"],
  rule_id: ["规则", "rule"], rule_version: ["规则版本", "rule version"], cause_key: ["起因", "cause"], severity: ["级别", "severity"], began: ["开始", "began"],
  opened: ["确认为告警", "opened"], ended: ["结束", "ended"], title_zh: ["标题", "title"], title_en: ["标题", "title"], evidence: ["证据", "evidence"], changed: ["更新", "changed"],
  code: ["编号", "code"], online: ["在线", "online"], boot: ["启动标识", "boot"], at: ["时间", "at"], version: ["版本", "version"], buffered_batches: ["待补传批次", "batches buffered"],
  buffered_bytes: ["待补传字节", "bytes buffered"], clock_offset_ms: ["时钟差（毫秒）", "clock offset (ms)"], received: ["收到于", "received"], newest_reading: ["最新读数", "newest reading"],
  factors: ["折算系数", "factors"], points: ["测点", "points"], ignored_points: ["未计入的测点", "points not counted"], left_out: ["未计入的企业", "firms left out"],
  product: ["产品", "product"], estimated_share: ["估算占比", "estimated share"], detail: ["细节", "detail"], catalogue: ["指标目录版本", "catalogue version"],
  verified: ["已核对来源", "compared with its source"], note: ["说明", "note"], id: ["编号", "id"], inputs: ["填报", "reported inputs"], terms: ["各项", "terms"],
};
// Numbers that name rows: the stored data below the table has them.
export const HIDDEN = new Set(["scope_id", "park_id", "firm_id", "unit_id", "indicator_id", "standing_id", "episode_id", "edge_id", "unit"]);
export const field = (name, lang) => FIELDS[name]?.[lang === "en" ? 1 : 0] ?? name.replaceAll("_", " ");
