// SPDX-License-Identifier: Apache-2.0
// Generated from api/openapi.yaml by generate.py: edit those.
import { Caller } from "./caller.js";
import type { CallOptions, Operation } from "./caller.js";

export type Problem = {
    type: string;
    title: string;
    status: number;
    code: string;
    detail?: string;
    field?: string;
};

export type Position = {
    engine?: string;
    documents?: string;
};

export type ExecutionPage = {
    items: ExecutionDocument[];
    nextCursor: string | null;
    position: Position;
};

export type EventPage = {
    items: Event[];
    nextCursor: string | null;
    position: Position;
};

export type TaskPage = {
    items: Task[];
    nextCursor: string | null;
    position: Position;
};

export type DefinitionPage = {
    items: Definition[];
    nextCursor: string | null;
    position: Position;
};

export type ExecutionBatch = {
    items: (ExecutionDocument | null)[];
    position: Position;
};

export type SocketPage = {
    items: ConnectedSocket[];
    nextCursor: string | null;
};

export type ConnectedSocket = {
    id: string;
    subject: string;
    address: string;
    connectedAt: string;
    rooms: string[];
    queuedBytes: number;
    replaying: boolean;
};

export type RoomPage = {
    items: {
        room: string;
        sockets: number;
    }[];
    nextCursor: string | null;
};

export type SessionPage = {
    items: Session[];
    nextCursor: string | null;
};

export type DomainPage = {
    items: Domain[];
    nextCursor: string | null;
};

export type Queue = {
    queue: string;
    paused: boolean;
    ready: number;
    delayed: number;
    running: number;
    dead: number;
    kept: number;
    oldestReadyMs: number;
    added: number;
    duplicates: number;
    completed: number;
    failed: number;
    died: number;
    reclaimed: number;
    cancelled: number;
};

export type QueuePage = {
    items: Queue[];
    nextCursor: string | null;
};

export type AddJobs = {
    jobs: NewJob[];
};

export type NewJob = {
    /** any JSON, at most 262144 bytes */
    payload?: unknown;
    /** an idempotency key: while its window lasts, another add with it adds nothing */
    key?: string;
    keyWindowMs?: number;
    delayMs?: number;
    /** not before it; wins over delayMs */
    at?: string;
    /** runs before it is a dead letter */
    attemptsMax?: number;
    /** before each retry twice as long, of which half is drawn */
    backoff?: {
        firstMs?: number;
        maxMs?: number;
    };
    /** of one run, heartbeats or not; 0: none */
    timeoutMs?: number;
    /** how long its outcome can be read after its end */
    keepMs?: number;
};

export type AddedJobs = {
    jobs: {
        id: string;
        /** the key was there: the id is the first one's */
        duplicate: boolean;
    }[];
};

export type ClaimedJobs = {
    jobs: ClaimedJob[];
};

export type ClaimedJob = {
    id: string;
    /** this run's; it ends it */
    token: string;
    /** as it was added */
    payload: unknown;
    /** of a payload that is no JSON, from C++ */
    payloadBase64?: string;
    attempt: number;
    attemptsMax: number;
    timeoutMs: number;
};

export type Job = {
    id: string;
    state: "ready" | "delayed" | "running" | "dead" | "completed" | "cancelled";
    /** null after its end */
    payload: unknown;
    payloadBase64?: string;
    /** of a completed one */
    result: unknown;
    resultBase64?: string;
    error: string | null;
    worker: string | null;
    attempts: number;
    attemptsMax: number;
    addedAt: string;
    dueAt: string | null;
    claimedAt: string | null;
    leaseUntil: string | null;
    endedAt: string | null;
};

export type JobPage = {
    items: Job[];
    nextCursor: string | null;
};

export type PaymentPage = {
    items: Payment[];
    nextCursor: string | null;
};

export type PaymentEventPage = {
    items: PaymentEvent[];
    nextCursor: string | null;
};

export type SnapshotPage = {
    items: Snapshot[];
    nextCursor: string | null;
};

export type EmbeddingIndexPage = {
    items: EmbeddingIndex[];
    nextCursor: string | null;
};

export type EmbeddingPage = {
    items: Embedding[];
    nextCursor: string | null;
};

export type Session = {
    sessionId: string;
    createdAt: string;
    usedAt: string;
    expiresAt: string;
    client?: string;
    /** the session of this request's token */
    current: boolean;
};

export type PaymentEvent = {
    paymentId: string;
    number: number;
    action: "create" | "authorize" | "capture" | "refund" | "fail" | "cancel";
    to: PaymentStatus;
    amount?: number;
    currency?: string;
    reason?: string;
    reference?: string;
    at: string;
    by: string;
};

export type Readiness = {
    ready: boolean;
    reasons: string[];
};

export type SyncStatus = {
    engine?: string;
    state: string;
    source: string;
    captured: PlaceInLog;
    applied: PlaceInLog;
    published: PlaceInLog;
    lag?: Record<string, unknown>;
    deadLetters?: number;
    realtime?: Record<string, unknown> | null;
};

export type PlaceInLog = {
    position: string;
    lsn?: string;
};

/** An event by its type; of a gap, see Gap */
export type Event = ProcessEvent | TaskEvent | VariableEvent | ActivityEvent | JobEvent | ExternalTaskEvent | IncidentEvent | DeploymentEvent | ConversationChanged | MessageChanged | AiContextChanged | PaymentChanged | DomainChanged | UserChanged | SnapshotTaken | EmbeddingIndexChanged;

/** What every event of Camunda's has. Ids are null where there is no such object */
export type EngineEvent = {
    source: "engine";
    /** the commit's place and the event's in it */
    position: string;
    /** of the commit */
    at: string;
    domainId: string | null;
    processInstanceId: string | null;
    /** the business key */
    executionId: string | null;
};

export type ProcessEvent = ProcessStarted | ProcessChanged | ProcessEnded;

export type ProcessStarted = EngineEvent & {
    type: "process:started";
    definitionKey: string | null;
    definitionId: string | null;
    parentProcessInstanceId: string | null;
    startUserId: string | null;
};

export type ProcessChanged = EngineEvent & {
    type: "process:suspended" | "process:activated";
    definitionKey: string | null;
    definitionId: string | null;
};

export type ProcessEnded = EngineEvent & {
    type: "process:completed" | "process:terminated";
    definitionKey: string | null;
    definitionId: string | null;
    deleteReason: string | null;
};

export type TaskEvent = TaskChanged | TaskEnded;

export type TaskMembers = {
    taskId: string;
    name: string | null;
    definitionKey: string | null;
    /** null in task:assigned: it was given back */
    assignee: string | null;
    owner: string | null;
    priority: number | null;
    status: "pending" | "in_progress" | "completed" | "cancelled";
};

export type TaskChanged = EngineEvent & TaskMembers & {
    type: "task:created" | "task:assigned" | "task:updated";
};

export type TaskEnded = EngineEvent & TaskMembers & {
    type: "task:completed" | "task:cancelled";
    deleteReason: string | null;
};

export type VariableEvent = VariableCreated | VariableChanged;

export type VariableMembers = {
    variableName: string;
    variableInstanceId: string;
    variableType: string;
    /** of a task's local variable */
    taskId?: string;
    /** of a variable that is local to an execution inside the process */
    scopeId?: string;
};

export type VariableCreated = EngineEvent & VariableMembers & {
    type: "variable:created";
    /** of a scalar of at most 16 KiB; ask the execution for others */
    value?: string | number | boolean | null;
};

export type VariableChanged = EngineEvent & VariableMembers & {
    type: "variable:updated" | "variable:deleted";
};

export type ActivityEvent = EngineEvent & {
    type: "activity:started" | "activity:completed" | "activity:cancelled";
    activityInstanceId: string;
    activityId: string | null;
    activityName: string | null;
    activityType: string | null;
};

export type JobEvent = JobChanged | JobFailed;

export type JobMembers = {
    jobId: string;
    /** timer, message … */
    kind: string;
    activityId: string | null;
    dueAt: string | null;
    /** that are left */
    retries: number | null;
};

export type JobChanged = EngineEvent & JobMembers & {
    type: "job:created" | "job:completed" | "job:cancelled";
};

export type JobFailed = EngineEvent & JobMembers & {
    type: "job:failed";
    message: string | null;
};

export type ExternalTaskEvent = ExternalTaskChanged | ExternalTaskFailed;

export type ExternalTaskMembers = {
    externalTaskId: string;
    topicName: string | null;
    activityId: string | null;
    workerId: string | null;
    /** that are left */
    retries: number | null;
};

export type ExternalTaskChanged = EngineEvent & ExternalTaskMembers & {
    type: "externalTask:created" | "externalTask:completed";
};

export type ExternalTaskFailed = EngineEvent & ExternalTaskMembers & {
    type: "externalTask:failed";
    message: string | null;
};

export type IncidentEvent = EngineEvent & {
    type: "incident:created" | "incident:resolved" | "incident:deleted";
    incidentId: string;
    incidentType: string | null;
    activityId: string | null;
    message: string | null;
};

export type DeploymentEvent = EngineEvent & {
    type: "deployment:created";
    deploymentId: string;
    name: string | null;
    /** such as "process application" */
    deploymentSource: string | null;
};

/** What every event of NetBuild's own data has. Content is none of it, so ask for the record by its id */
export type OwnDataEvent = {
    source: "documents";
    /** on the clock of NetBuild's own data */
    position: string;
    at: string;
    domainId: string | null;
    id: string;
    /** not of a record that another program made */
    version?: number;
};

export type ConversationChanged = OwnDataEvent & {
    type: "conversation:created" | "conversation:updated";
    executionId?: string;
    taskId?: string;
};

export type MessageChanged = OwnDataEvent & {
    type: "message:created" | "message:updated";
    /** of all its states */
    messageId?: string;
    conversationId?: string;
    /** in the conversation */
    sequence?: number;
    /** of the state */
    number?: number;
    /** posted, edited, deleted */
    state?: string;
    /** user, assistant, system, tool */
    role?: string;
    executionId?: string;
    taskId?: string;
};

export type AiContextChanged = OwnDataEvent & {
    type: "aiContext:created" | "aiContext:updated";
    conversationId?: string;
    executionId?: string;
};

export type PaymentChanged = OwnDataEvent & {
    type: "payment:created" | "payment:updated";
    status?: string;
    executionId?: string;
    processInstanceId?: string;
    taskId?: string;
    conversationId?: string;
};

export type DomainChanged = OwnDataEvent & {
    type: "domain:created" | "domain:updated";
    status?: string;
};

/** To the user and to those with a role in every domain */
export type UserChanged = OwnDataEvent & {
    type: "user:created" | "user:updated";
    /** active, disabled, erasing, erased */
    status?: string;
};

export type SnapshotTaken = OwnDataEvent & {
    type: "snapshot:created";
    sequence?: number;
    taskId?: string;
    processInstanceId?: string;
    executionId?: string;
};

export type EmbeddingIndexChanged = OwnDataEvent & {
    type: "embeddingIndex:created" | "embeddingIndex:updated";
    status?: string;
    sequence?: number;
};

/** In server-sent events: what came after `from` up to `to` is not there any more; read anew what you keep */
export type Gap = {
    type: "gap";
    source: "engine" | "documents";
    /** where it goes on; the same as to */
    position: string;
    from: string;
    to: string;
    /** retention, history_lost, capture_away, unknown_offset … */
    reason: string;
};

/** In Socket.IO: what came after `from` up to `to` in these rooms is not there any more; read anew what you keep */
export type RoomGap = {
    source: "engine" | "documents";
    from: string;
    to: string;
    rooms: string[];
    /** retention, history_lost, capture_away, unknown_offset … */
    reason: string;
};

export type RealtimeTrouble = {
    /** unauthorized: the token is not good any more, and the server disconnects; rate_limited: too many events a second */
    code: string;
    message: string;
};

/** A room that the client may not see any more */
export type RoomLost = {
    room: string;
    code: string;
};

/** Where to begin; without an offset with what comes */
export type SubscribeFrom = {
    offset?: string;
};

export type SubscribeAnswer = {
    ok: true;
    position: Position;
    offset: string;
} | {
    ok: false;
    error: {
        code: string;
        message: string;
    };
};

export type DefinitionName = {
    id: string;
    key: string;
    version?: number;
    name?: string | null;
};

export type ExecutionDocument = {
    processInstanceId: string;
    executionId: string | null;
    domainId: string | null;
    definition?: DefinitionName;
    parentProcessInstanceId?: string | null;
    rootProcessInstanceId?: string | null;
    variables: Record<string, unknown>;
    status: ExecutionStatus;
    startedAt?: string | null;
    endedAt?: string | null;
    durationMs?: number | null;
    startUserId?: string | null;
    deleteReason?: string | null;
    /** by their ids */
    incidents?: Record<string, unknown>;
};

export type ExecutionStatus = "active" | "suspended" | "completed" | "terminated";

export type Task = {
    taskId: string;
    processInstanceId: string | null;
    executionId: string | null;
    domainId: string | null;
    processDefinitionKey?: string | null;
    processDefinitionId?: string | null;
    name?: string | null;
    definitionKey?: string | null;
    description?: string | null;
    assignee?: string | null;
    owner?: string | null;
    candidates?: {
        users?: string[];
        groups?: string[];
    };
    priority?: number | null;
    status: "pending" | "in_progress" | "completed" | "cancelled";
    createdAt?: string | null;
    dueAt?: string | null;
    followUpAt?: string | null;
    endedAt?: string | null;
    /** the execution's */
    variables: Record<string, unknown>;
    localVariables?: Record<string, unknown>;
};

export type Definition = {
    id: string;
    key: string;
    version?: number;
    name?: string | null;
    domainId?: string | null;
    deploymentId?: string | null;
    versionTag?: string | null;
    resourceName?: string | null;
    suspended?: boolean;
    /** of getDefinition only */
    bpmnXml?: string;
};

export type ConversationInput = {
    domainId: string;
    title?: string;
    executionId?: string;
    taskId?: string;
    /** any JSON */
    metadata?: unknown;
    clientConversationId?: string;
};

export type ConversationChange = {
    title?: string;
    executionId?: string;
    taskId?: string;
    /** any JSON */
    metadata?: unknown;
};

export type Conversation = {
    id: string;
    version: number;
    domainId: string;
    title?: string;
    executionId?: string;
    taskId?: string;
    /** any JSON */
    metadata?: unknown;
    clientConversationId?: string;
    createdAt: string;
    createdBy: string;
    updatedAt: string;
};

export type ConversationPage = {
    items: Conversation[];
    nextCursor: string | null;
    previousCursor: string | null;
};

export type Attachment = {
    name: string;
    mediaType: string;
    sizeBytes: number;
    url?: string;
    sha256?: string;
};

/** with a text, or with attachments */
export type MessageInput = {
    role: "user" | "assistant" | "system" | "tool";
    /** the caller; services and admins may name another */
    author?: string;
    text?: string;
    attachments?: Attachment[];
    executionId?: string;
    taskId?: string;
    /** any JSON */
    metadata?: unknown;
    clientMessageId?: string;
};

/** all of the content, with a text or with attachments; what is left out is gone */
export type MessageEdit = {
    text?: string;
    attachments?: Attachment[];
    /** any JSON */
    metadata?: unknown;
};

export type Message = {
    /** a UUID of version 7: sorts by time */
    id: string;
    conversationId: string;
    domainId: string;
    /** 1, 2, 3 … in the conversation */
    sequence: number;
    /** of the state; the ETag */
    number: number;
    state: "posted" | "edited" | "deleted";
    role: "user" | "assistant" | "system" | "tool";
    author: string;
    text?: string;
    attachments?: Attachment[];
    executionId?: string;
    taskId?: string;
    /** any JSON */
    metadata?: unknown;
    clientMessageId?: string;
    createdAt: string;
    /** of the state */
    at: string;
    /** whose doing the state is */
    by: string;
};

export type MessagePage = {
    items: Message[];
    nextCursor: string | null;
    previousCursor: string | null;
};

export type AiContextInput = {
    systemPrompt?: string;
    pinned?: {
        text: string;
        source?: string;
    }[];
    summary?: {
        text: string;
        uptoSequence: number;
    };
    model?: string;
    limits?: {
        maxTokens?: number;
        maxMessages?: number;
        maxPassages?: number;
    };
};

export type AiContext = {
    version: number;
    domainId: string;
    conversationId?: string;
    executionId?: string;
    systemPrompt?: string;
    pinned?: (Record<string, unknown>)[];
    summary?: Record<string, unknown>;
    model?: string;
    limits?: Record<string, unknown>;
    updatedAt: string;
    updatedBy: string;
};

export type AiWindow = {
    conversationId: string;
    domainId: string;
    executionId?: string;
    model?: string;
    /** the rule that tokens are counted by */
    estimator: string;
    maxTokens: number;
    /** never more than maxTokens */
    tokens: number;
    parts: {
        kind: "system" | "pinned" | "summary" | "passage" | "message";
        role?: string;
        text: string;
        tokens: number;
        source: Record<string, unknown>;
    }[];
    contextVersions: {
        conversation: number;
        execution: number;
    };
    /** everything is in it */
    complete: boolean;
    /** the first that is not */
    stoppedAt?: {
        kind?: string;
        source?: Record<string, unknown>;
        tokens?: number;
        reason?: "budget" | "maxMessages";
    };
    /** the code of the failure */
    passagesFailed?: string;
};

export type Tokens = {
    accessToken: string;
    tokenType: string;
    /** seconds */
    expiresIn: number;
    refreshToken: string;
    sessionId: string;
};

export type DomainInput = {
    name: string;
    status: "active" | "suspended";
    /** any JSON */
    settings?: unknown;
};

export type Domain = {
    domainId: string;
    version: number;
    name: string;
    status: string;
    settings?: unknown;
    updatedAt: string;
    updatedBy: string;
};

export type Role = "owner" | "admin" | "member" | "viewer" | "service";

export type Member = {
    userId: string;
    domainId: string;
    role: Role;
    email?: string;
    name?: string;
    status?: string;
};

export type ApiKey = {
    id: string;
    name: string;
    domainId: string;
    role: Role;
    createdBy: string;
    createdAt: string;
    revokedAt?: string;
};

export type AuditEntry = {
    id: string;
    at: string;
    actor: string;
    action: string;
    outcome: "done" | "refused";
    target?: string;
    domainId: string;
    detail?: string;
};

export type PaymentStatus = "created" | "authorized" | "captured" | "partially_refunded" | "refunded" | "failed" | "cancelled";

export type PaymentInput = {
    domainId: string;
    /** in minor units: 1050 EUR is 10.50 € */
    amount: number;
    /** ISO 4217 */
    currency: string;
    /** decimal places that the client reckons with; refused if they are not the currency's */
    exponent?: number;
    executionId?: string;
    processInstanceId?: string;
    taskId?: string;
    conversationId?: string;
    userId?: string;
    /** the payment provider's */
    reference?: string;
    description?: string;
    metadata?: Record<string, unknown>;
};

export type PaymentNote = {
    reason?: string;
    reference?: string;
};

export type PaymentMove = {
    amount?: number;
    reason?: string;
    reference?: string;
};

export type Payment = {
    id: string;
    domainId: string;
    amount: number;
    currency: string;
    exponent: number | null;
    status: PaymentStatus;
    authorized: number;
    captured: number;
    refunded: number;
    reason?: string;
    metadata?: Record<string, unknown>;
    createdAt: string;
    createdBy: string;
    updatedAt: string;
    /** the number of its newest event */
    version: number;
};

export type UserSession = {
    /** names the session where its id must not be shown */
    handle: string;
    userId: string | null;
    data: Record<string, unknown>;
    /** null: a Node service made it */
    createdAt: string | null;
    /** when it ends if nobody reads it before */
    expiresAt: string;
    /** when it ends in any case; null: never */
    endsAt: string | null;
};

export type NewUserSession = UserSession & {
    /** the secret */
    sessionId: string;
    /** the same signed as express-session does, where [sessions] cookie_secret is set */
    cookie?: string;
};

export type SnapshotPlace = {
    id: string;
    /** of all snapshots: 1, 2, 3 … */
    sequence: number;
    /** the process instance, or the task that belongs to none */
    chain: string;
    /** in its chain */
    number: number;
    /** of the one before it in its chain */
    previousHash: string;
    /** of the one before it in all */
    previousInAll: string;
    /** SHA-256 of the content's canonical JSON (RFC 8785) */
    contentHash: string;
    hash: string;
};

export type RateChecks = {
    checks: RateCheck[];
};

export type RateCheck = {
    /** configured here, or another one with its limit and periodMs; letters, digits, - and _ */
    policy: string;
    /** of one policy always as many parts; none: all share one */
    key?: string[];
    limit?: number;
    periodMs?: number;
    /** at once, of gcra; by default the limit */
    burst?: number;
    algorithm?: "gcra" | "window";
    cost?: number;
    /** what the answer is while Redis does not give one */
    whenAway?: "open" | "closed";
};

export type RateBlock = {
    /** configured here, or another one with its limit and periodMs; letters, digits, - and _ */
    policy: string;
    /** of one policy always as many parts; none: all share one */
    key?: string[];
    limit?: number;
    periodMs?: number;
    /** at once, of gcra; by default the limit */
    burst?: number;
    algorithm?: "gcra" | "window";
    forMs: number;
};

export type RateUnblock = {
    /** configured here, or another one with its limit and periodMs; letters, digits, - and _ */
    policy: string;
    /** of one policy always as many parts; none: all share one */
    key?: string[];
    limit?: number;
    periodMs?: number;
    /** at once, of gcra; by default the limit */
    burst?: number;
    algorithm?: "gcra" | "window";
};

export type RateAnswer = {
    allowed: boolean;
    /** the policy that has to be waited for longest */
    deniedBy: string | null;
    /** 0 if it is allowed */
    retryAfterMs: number;
    /** local: the key is known to be denied, nobody was asked; failed_: Redis did not answer */
    source: "store" | "local" | "failed_open" | "failed_closed";
    limits: RateStatus[];
    /** RateLimit-Policy, RateLimit and, if it is denied, Retry-After, to be handed on */
    headers: Record<string, string>;
};

export type RateStatus = {
    policy: string;
    limit: number;
    remaining: number;
    /** until nothing is used */
    resetMs: number;
    retryAfterMs: number;
};

export type Snapshot = SnapshotPlace & {
    content: Record<string, unknown>;
};

export type EmbeddingIndexInput = {
    domainId: string;
    name: string;
    model: string;
    dimension: number;
    metric: "l2" | "ip" | "cosine";
};

export type EmbeddingIndex = {
    indexId: string;
    version: number;
    domainId: string;
    name: string;
    model: string;
    dimension: number;
    metric: string;
    status: "ready" | "importing";
    sequence: number;
    count: number;
    file?: string;
    checksum?: string;
    fileSequence?: number;
    graphFile?: string;
    graphChecksum?: string;
    inMemory: Record<string, unknown>;
};

export type EmbeddingInput = {
    vectorId: string;
    source: string;
    chunk?: string;
    /** bytes */
    from?: number;
    to?: number;
    text?: string;
    /** at most 4096 bytes; its scalars can be filtered by */
    metadata?: Record<string, unknown>;
    /** as many as the index has dimensions */
    values?: number[];
    /** the same as base64url of little-endian 32-bit floats */
    float32?: string;
};

export type Embedding = {
    vectorId: string;
    source: string;
    chunk?: string;
    /** bytes */
    from?: number;
    to?: number;
    text?: string;
    /** at most 4096 bytes; its scalars can be filtered by */
    metadata?: Record<string, unknown>;
    indexId: string;
    domainId: string;
    /** greater is nearer: the inner product, the cosine, or minus the squared distance */
    score?: number;
};

export type EmbeddingSearch = {
    /** as many as the index has dimensions */
    values?: number[];
    /** the same as base64url of little-endian 32-bit floats */
    float32?: string;
    k?: number;
    /** candidates that the graph looks at */
    effort?: number;
    filter?: {
        source?: string;
        /** all of these scalars */
        metadata?: Record<string, unknown>;
    };
};

export type Execution = {
    processInstanceId: string;
    executionId: string | null;
    domainId: string | null;
    definition?: DefinitionName;
    status: ExecutionStatus;
    ended?: boolean;
    startedAt?: string | null;
    endedAt?: string | null;
    variables: Record<string, unknown>;
    /** Camunda REST's ProcessInstanceDto */
    processState: Record<string, unknown>;
    /** Camunda REST's TaskDto */
    activeTasks: (Record<string, unknown>)[];
    position: Position;
    freshness: {
        lagMs?: number;
        source?: "model" | "engine" | "rest";
    };
    otherInstances?: (Record<string, unknown>)[];
};

/** The event of each type, as server-sent events and timelines have it. */
export interface EventOf {
    "process:started": ProcessStarted;
    "process:suspended": ProcessChanged;
    "process:activated": ProcessChanged;
    "process:completed": ProcessEnded;
    "process:terminated": ProcessEnded;
    "task:created": TaskChanged;
    "task:assigned": TaskChanged;
    "task:updated": TaskChanged;
    "task:completed": TaskEnded;
    "task:cancelled": TaskEnded;
    "variable:created": VariableCreated;
    "variable:updated": VariableChanged;
    "variable:deleted": VariableChanged;
    "activity:started": ActivityEvent;
    "activity:completed": ActivityEvent;
    "activity:cancelled": ActivityEvent;
    "job:created": JobChanged;
    "job:completed": JobChanged;
    "job:cancelled": JobChanged;
    "job:failed": JobFailed;
    "externalTask:created": ExternalTaskChanged;
    "externalTask:completed": ExternalTaskChanged;
    "externalTask:failed": ExternalTaskFailed;
    "incident:created": IncidentEvent;
    "incident:resolved": IncidentEvent;
    "incident:deleted": IncidentEvent;
    "deployment:created": DeploymentEvent;
    "conversation:created": ConversationChanged;
    "conversation:updated": ConversationChanged;
    "message:created": MessageChanged;
    "message:updated": MessageChanged;
    "aiContext:created": AiContextChanged;
    "aiContext:updated": AiContextChanged;
    "payment:created": PaymentChanged;
    "payment:updated": PaymentChanged;
    "domain:created": DomainChanged;
    "domain:updated": DomainChanged;
    "user:created": UserChanged;
    "user:updated": UserChanged;
    "snapshot:created": SnapshotTaken;
    "embeddingIndex:created": EmbeddingIndexChanged;
    "embeddingIndex:updated": EmbeddingIndexChanged;
}

export type EventName = keyof EventOf;

/** As Socket.IO gives it, where its name is its type. */
export type PayloadOf<Name extends EventName> = Omit<EventOf[Name], "type">;

/** What a Socket.IO client may hear: Socket<ServerEvents, ClientEvents>. */
export interface ServerEvents {
    "process:started": (event: PayloadOf<"process:started">, offset: string) => void;
    "process:suspended": (event: PayloadOf<"process:suspended">, offset: string) => void;
    "process:activated": (event: PayloadOf<"process:activated">, offset: string) => void;
    "process:completed": (event: PayloadOf<"process:completed">, offset: string) => void;
    "process:terminated": (event: PayloadOf<"process:terminated">, offset: string) => void;
    "task:created": (event: PayloadOf<"task:created">, offset: string) => void;
    "task:assigned": (event: PayloadOf<"task:assigned">, offset: string) => void;
    "task:updated": (event: PayloadOf<"task:updated">, offset: string) => void;
    "task:completed": (event: PayloadOf<"task:completed">, offset: string) => void;
    "task:cancelled": (event: PayloadOf<"task:cancelled">, offset: string) => void;
    "variable:created": (event: PayloadOf<"variable:created">, offset: string) => void;
    "variable:updated": (event: PayloadOf<"variable:updated">, offset: string) => void;
    "variable:deleted": (event: PayloadOf<"variable:deleted">, offset: string) => void;
    "activity:started": (event: PayloadOf<"activity:started">, offset: string) => void;
    "activity:completed": (event: PayloadOf<"activity:completed">, offset: string) => void;
    "activity:cancelled": (event: PayloadOf<"activity:cancelled">, offset: string) => void;
    "job:created": (event: PayloadOf<"job:created">, offset: string) => void;
    "job:completed": (event: PayloadOf<"job:completed">, offset: string) => void;
    "job:cancelled": (event: PayloadOf<"job:cancelled">, offset: string) => void;
    "job:failed": (event: PayloadOf<"job:failed">, offset: string) => void;
    "externalTask:created": (event: PayloadOf<"externalTask:created">, offset: string) => void;
    "externalTask:completed": (event: PayloadOf<"externalTask:completed">, offset: string) => void;
    "externalTask:failed": (event: PayloadOf<"externalTask:failed">, offset: string) => void;
    "incident:created": (event: PayloadOf<"incident:created">, offset: string) => void;
    "incident:resolved": (event: PayloadOf<"incident:resolved">, offset: string) => void;
    "incident:deleted": (event: PayloadOf<"incident:deleted">, offset: string) => void;
    "deployment:created": (event: PayloadOf<"deployment:created">, offset: string) => void;
    "conversation:created": (event: PayloadOf<"conversation:created">, offset: string) => void;
    "conversation:updated": (event: PayloadOf<"conversation:updated">, offset: string) => void;
    "message:created": (event: PayloadOf<"message:created">, offset: string) => void;
    "message:updated": (event: PayloadOf<"message:updated">, offset: string) => void;
    "aiContext:created": (event: PayloadOf<"aiContext:created">, offset: string) => void;
    "aiContext:updated": (event: PayloadOf<"aiContext:updated">, offset: string) => void;
    "payment:created": (event: PayloadOf<"payment:created">, offset: string) => void;
    "payment:updated": (event: PayloadOf<"payment:updated">, offset: string) => void;
    "domain:created": (event: PayloadOf<"domain:created">, offset: string) => void;
    "domain:updated": (event: PayloadOf<"domain:updated">, offset: string) => void;
    "user:created": (event: PayloadOf<"user:created">, offset: string) => void;
    "user:updated": (event: PayloadOf<"user:updated">, offset: string) => void;
    "snapshot:created": (event: PayloadOf<"snapshot:created">, offset: string) => void;
    "embeddingIndex:created": (event: PayloadOf<"embeddingIndex:created">, offset: string) => void;
    "embeddingIndex:updated": (event: PayloadOf<"embeddingIndex:updated">, offset: string) => void;
    gap: (event: RoomGap, offset: string) => void;
    unsubscribed: (event: RoomLost) => void;
    error: (event: RealtimeTrouble) => void;
}

/** What it may say. */
export interface ClientEvents {
    /** Joins a room, domain:ID, execution:ID, conversation:ID or user:ID */
    subscribe: (...given: [room: string, answer: (answer: SubscribeAnswer) => void] | [room: string, from: SubscribeFrom, answer: (answer: SubscribeAnswer) => void]) => void;
    /** Leaves a room; one that the client is not in is no error */
    unsubscribe: (...given: [room: string, answer: (answer: SubscribeAnswer) => void]) => void;
}

const operations = {
    getExecution: {"id": "getExecution", "method": "GET", "path": "/v1/executions/{executionId}", "query": ["by", "consistency"], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    batchGetExecutions: {"id": "batchGetExecutions", "method": "POST", "path": "/v1/executions:batchGet", "query": [], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    listExecutions: {"id": "listExecutions", "method": "GET", "path": "/v1/executions", "query": ["domainId", "executionId", "status", "definitionKey", "startedAfter", "startedBefore", "hasIncident", "limit", "cursor", "sort"], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false, "openQuery": "variable."},
    getTimeline: {"id": "getTimeline", "method": "GET", "path": "/v1/executions/{executionId}/timeline", "query": ["by", "limit", "cursor"], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    listTasks: {"id": "listTasks", "method": "GET", "path": "/v1/tasks", "query": ["domainId", "assignee", "candidateGroup", "candidateUser", "includeAssigned", "status", "definitionKey", "taskDefinitionKey", "executionId", "processInstanceId", "dueBefore", "limit", "cursor", "sort"], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    listDefinitions: {"id": "listDefinitions", "method": "GET", "path": "/v1/definitions", "query": ["key", "domainId", "limit", "cursor"], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    getDefinition: {"id": "getDefinition", "method": "GET", "path": "/v1/definitions/{definitionId}", "query": [], "headers": {"waitMs": "X-NetBuild-Wait"}, "keyed": false, "positioned": true, "open": false},
    getSync: {"id": "getSync", "method": "GET", "path": "/v1/sync", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listSockets: {"id": "listSockets", "method": "GET", "path": "/v1/realtime/sockets", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listRooms: {"id": "listRooms", "method": "GET", "path": "/v1/realtime/rooms", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    kickSocket: {"id": "kickSocket", "method": "DELETE", "path": "/v1/realtime/sockets/{socketId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    login: {"id": "login", "method": "POST", "path": "/v1/auth/login", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    refresh: {"id": "refresh", "method": "POST", "path": "/v1/auth/refresh", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    logout: {"id": "logout", "method": "POST", "path": "/v1/auth/logout", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listSessions: {"id": "listSessions", "method": "GET", "path": "/v1/auth/sessions", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    endSession: {"id": "endSession", "method": "DELETE", "path": "/v1/auth/sessions/{sessionId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    changePassword: {"id": "changePassword", "method": "POST", "path": "/v1/auth/password", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    resetPassword: {"id": "resetPassword", "method": "POST", "path": "/v1/auth/password/reset", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    getMe: {"id": "getMe", "method": "GET", "path": "/v1/auth/me", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getKeys: {"id": "getKeys", "method": "GET", "path": "/.well-known/jwks.json", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    listDomains: {"id": "listDomains", "method": "GET", "path": "/v1/domains", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getDomain: {"id": "getDomain", "method": "GET", "path": "/v1/domains/{domainId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    putDomain: {"id": "putDomain", "method": "PUT", "path": "/v1/domains/{domainId}", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    listDomainVersions: {"id": "listDomainVersions", "method": "GET", "path": "/v1/domains/{domainId}/versions", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listMembers: {"id": "listMembers", "method": "GET", "path": "/v1/domains/{domainId}/users", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    grantRole: {"id": "grantRole", "method": "PUT", "path": "/v1/domains/{domainId}/users/{userId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    revokeRole: {"id": "revokeRole", "method": "DELETE", "path": "/v1/domains/{domainId}/users/{userId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listApiKeys: {"id": "listApiKeys", "method": "GET", "path": "/v1/domains/{domainId}/api-keys", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    createApiKey: {"id": "createApiKey", "method": "POST", "path": "/v1/domains/{domainId}/api-keys", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    revokeApiKey: {"id": "revokeApiKey", "method": "DELETE", "path": "/v1/domains/{domainId}/api-keys/{keyId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listAudit: {"id": "listAudit", "method": "GET", "path": "/v1/domains/{domainId}/audit", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    checkRateLimits: {"id": "checkRateLimits", "method": "POST", "path": "/v1/ratelimit:check", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    peekRateLimits: {"id": "peekRateLimits", "method": "POST", "path": "/v1/ratelimit:peek", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    penalizeRateLimits: {"id": "penalizeRateLimits", "method": "POST", "path": "/v1/ratelimit:penalize", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    blockRateLimit: {"id": "blockRateLimit", "method": "POST", "path": "/v1/ratelimit:block", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    unblockRateLimit: {"id": "unblockRateLimit", "method": "POST", "path": "/v1/ratelimit:unblock", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    createUserSession: {"id": "createUserSession", "method": "POST", "path": "/v1/sessions", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listUserSessions: {"id": "listUserSessions", "method": "GET", "path": "/v1/sessions", "query": ["userId"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    revokeUserSessions: {"id": "revokeUserSessions", "method": "DELETE", "path": "/v1/sessions", "query": ["userId"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getUserSession: {"id": "getUserSession", "method": "GET", "path": "/v1/sessions/{sessionId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    changeUserSession: {"id": "changeUserSession", "method": "PATCH", "path": "/v1/sessions/{sessionId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    revokeUserSession: {"id": "revokeUserSession", "method": "DELETE", "path": "/v1/sessions/{sessionId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    rotateUserSession: {"id": "rotateUserSession", "method": "POST", "path": "/v1/sessions/{sessionId}/rotate", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    createPayment: {"id": "createPayment", "method": "POST", "path": "/v1/payments", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    listPayments: {"id": "listPayments", "method": "GET", "path": "/v1/payments", "query": ["domainId", "status", "executionId", "userId", "limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getPayment: {"id": "getPayment", "method": "GET", "path": "/v1/payments/{paymentId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listPaymentEvents: {"id": "listPaymentEvents", "method": "GET", "path": "/v1/payments/{paymentId}/events", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    authorizePayment: {"id": "authorizePayment", "method": "POST", "path": "/v1/payments/{paymentId}/authorize", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    capturePayment: {"id": "capturePayment", "method": "POST", "path": "/v1/payments/{paymentId}/capture", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    refundPayment: {"id": "refundPayment", "method": "POST", "path": "/v1/payments/{paymentId}/refund", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    failPayment: {"id": "failPayment", "method": "POST", "path": "/v1/payments/{paymentId}/fail", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    cancelPayment: {"id": "cancelPayment", "method": "POST", "path": "/v1/payments/{paymentId}/cancel", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    takeTaskSnapshot: {"id": "takeTaskSnapshot", "method": "POST", "path": "/v1/tasks/{taskId}/snapshots", "query": [], "headers": {"idempotencyKey": "Idempotency-Key"}, "keyed": true, "positioned": false, "open": false},
    listSnapshots: {"id": "listSnapshots", "method": "GET", "path": "/v1/snapshots", "query": ["taskId", "executionId", "processInstanceId", "domainId", "limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getSnapshot: {"id": "getSnapshot", "method": "GET", "path": "/v1/snapshots/{snapshotId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    createConversation: {"id": "createConversation", "method": "POST", "path": "/v1/conversations", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listConversations: {"id": "listConversations", "method": "GET", "path": "/v1/conversations", "query": ["domainId", "executionId", "taskId", "limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getConversation: {"id": "getConversation", "method": "GET", "path": "/v1/conversations/{conversationId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    changeConversation: {"id": "changeConversation", "method": "PUT", "path": "/v1/conversations/{conversationId}", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    postMessage: {"id": "postMessage", "method": "POST", "path": "/v1/conversations/{conversationId}/messages", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listMessages: {"id": "listMessages", "method": "GET", "path": "/v1/conversations/{conversationId}/messages", "query": ["limit", "cursor", "sort", "afterSequence"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getMessage: {"id": "getMessage", "method": "GET", "path": "/v1/conversations/{conversationId}/messages/{messageId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    editMessage: {"id": "editMessage", "method": "PUT", "path": "/v1/conversations/{conversationId}/messages/{messageId}", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    deleteMessage: {"id": "deleteMessage", "method": "DELETE", "path": "/v1/conversations/{conversationId}/messages/{messageId}", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    getMessageHistory: {"id": "getMessageHistory", "method": "GET", "path": "/v1/conversations/{conversationId}/messages/{messageId}/history", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    searchMessages: {"id": "searchMessages", "method": "GET", "path": "/v1/messages", "query": ["q", "domainId", "conversationId", "limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getAiContext: {"id": "getAiContext", "method": "GET", "path": "/v1/conversations/{conversationId}/ai-context", "query": ["maxTokens"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    putAiContext: {"id": "putAiContext", "method": "PUT", "path": "/v1/conversations/{conversationId}/ai-context", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    getExecutionAiContext: {"id": "getExecutionAiContext", "method": "GET", "path": "/v1/domains/{domainId}/executions/{executionId}/ai-context", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    putExecutionAiContext: {"id": "putExecutionAiContext", "method": "PUT", "path": "/v1/domains/{domainId}/executions/{executionId}/ai-context", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    createEmbeddingIndex: {"id": "createEmbeddingIndex", "method": "POST", "path": "/v1/embeddings/indexes", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listEmbeddingIndexes: {"id": "listEmbeddingIndexes", "method": "GET", "path": "/v1/embeddings/indexes", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getEmbeddingIndex: {"id": "getEmbeddingIndex", "method": "GET", "path": "/v1/embeddings/indexes/{indexId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    deleteEmbeddingIndex: {"id": "deleteEmbeddingIndex", "method": "DELETE", "path": "/v1/embeddings/indexes/{indexId}", "query": [], "headers": {"ifMatch": "If-Match"}, "keyed": false, "positioned": false, "open": false},
    rebuildEmbeddingIndex: {"id": "rebuildEmbeddingIndex", "method": "POST", "path": "/v1/embeddings/indexes/{indexId}/rebuild", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    addEmbeddings: {"id": "addEmbeddings", "method": "POST", "path": "/v1/embeddings/indexes/{indexId}/vectors", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listEmbeddings: {"id": "listEmbeddings", "method": "GET", "path": "/v1/embeddings/indexes/{indexId}/vectors", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getEmbedding: {"id": "getEmbedding", "method": "GET", "path": "/v1/embeddings/indexes/{indexId}/vectors/{vectorId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    deleteEmbedding: {"id": "deleteEmbedding", "method": "DELETE", "path": "/v1/embeddings/indexes/{indexId}/vectors/{vectorId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    removeEmbeddings: {"id": "removeEmbeddings", "method": "POST", "path": "/v1/embeddings/indexes/{indexId}/remove", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    searchEmbeddings: {"id": "searchEmbeddings", "method": "POST", "path": "/v1/embeddings/indexes/{indexId}/search", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listQueues: {"id": "listQueues", "method": "GET", "path": "/v1/queues", "query": ["limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getQueue: {"id": "getQueue", "method": "GET", "path": "/v1/queues/{queue}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    addJobs: {"id": "addJobs", "method": "POST", "path": "/v1/queues/{queue}/jobs", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    listJobs: {"id": "listJobs", "method": "GET", "path": "/v1/queues/{queue}/jobs", "query": ["state", "limit", "cursor"], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getJob: {"id": "getJob", "method": "GET", "path": "/v1/queues/{queue}/jobs/{jobId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    cancelJob: {"id": "cancelJob", "method": "DELETE", "path": "/v1/queues/{queue}/jobs/{jobId}", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    claimJobs: {"id": "claimJobs", "method": "POST", "path": "/v1/queues/{queue}:claim", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    completeJob: {"id": "completeJob", "method": "POST", "path": "/v1/queues/{queue}/jobs/{jobId}:complete", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    failJob: {"id": "failJob", "method": "POST", "path": "/v1/queues/{queue}/jobs/{jobId}:fail", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    renewJob: {"id": "renewJob", "method": "POST", "path": "/v1/queues/{queue}/jobs/{jobId}:heartbeat", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    pauseQueue: {"id": "pauseQueue", "method": "POST", "path": "/v1/queues/{queue}:pause", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    resumeQueue: {"id": "resumeQueue", "method": "POST", "path": "/v1/queues/{queue}:resume", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    drainQueue: {"id": "drainQueue", "method": "POST", "path": "/v1/queues/{queue}:drain", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    retryJobs: {"id": "retryJobs", "method": "POST", "path": "/v1/queues/{queue}:retry", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
    getOpenApi: {"id": "getOpenApi", "method": "GET", "path": "/openapi.json", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    getHealth: {"id": "getHealth", "method": "GET", "path": "/healthz", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    getReadiness: {"id": "getReadiness", "method": "GET", "path": "/readyz", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": true},
    getMetrics: {"id": "getMetrics", "method": "GET", "path": "/metrics", "query": [], "headers": {}, "keyed": false, "positioned": false, "open": false},
} as const satisfies Record<string, Operation>;

/** One method an operation of the API. */
export class Api extends Caller {
    /** An execution with Camunda's process state and open tasks */
    getExecution(input: {
            /** business key, or process instance id with by=processInstanceId; percent-encoded */
            executionId: string;
            by?: "executionId" | "processInstanceId";
            consistency?: "model" | "engine" | "rest";
            /** milliseconds */
            waitMs?: number;
        }, options?: CallOptions): Promise<Execution> {
        return this.call<Execution>(operations.getExecution, input, options);
    }

    /** Up to 500 executions in a constant number of round trips */
    batchGetExecutions(input: {
            /** milliseconds */
            waitMs?: number;
            body: {
            ids: string[];
            by?: "executionId" | "processInstanceId";
        };
        }, options?: CallOptions): Promise<ExecutionBatch> {
        return this.call<ExecutionBatch>(operations.batchGetExecutions, input, options);
    }

    /** Executions, newest first. Further filters are variable.NAME=VALUE, with gt, lt or like and a colon before the value */
    listExecutions(input: {
            domainId?: string;
            executionId?: string;
            /** active, suspended, completed, terminated; several with commas */
            status?: string;
            definitionKey?: string;
            startedAfter?: string;
            startedBefore?: string;
            hasIncident?: boolean;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
            /** startedAt, endedAt, executionId, status; - in front for descending */
            sort?: string;
            /** milliseconds */
            waitMs?: number;
            /** A process variable, such as `gt:100` */
            [variable: `variable.${string}`]: string;
        } = {}, options?: CallOptions): Promise<ExecutionPage> {
        return this.call<ExecutionPage>(operations.listExecutions, input, options);
    }

    /** All of listExecutions's pages, fetched as they are read. */
    allExecutions(input: {
            domainId?: string;
            executionId?: string;
            /** active, suspended, completed, terminated; several with commas */
            status?: string;
            definitionKey?: string;
            startedAfter?: string;
            startedBefore?: string;
            hasIncident?: boolean;
            limit?: number;
            /** startedAt, endedAt, executionId, status; - in front for descending */
            sort?: string;
            /** milliseconds */
            waitMs?: number;
            /** A process variable, such as `gt:100` */
            [variable: `variable.${string}`]: string;
        } = {}, options?: CallOptions): AsyncGenerator<ExecutionDocument, void, undefined> {
        return this.all<ExecutionDocument>(operations.listExecutions, input, options);
    }

    /** The events of an execution, oldest first */
    getTimeline(input: {
            executionId: string;
            by?: "executionId" | "processInstanceId";
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
            /** milliseconds */
            waitMs?: number;
        }, options?: CallOptions): Promise<EventPage> {
        return this.call<EventPage>(operations.getTimeline, input, options);
    }

    /** All of getTimeline's pages, fetched as they are read. */
    allTimeline(input: {
            executionId: string;
            by?: "executionId" | "processInstanceId";
            limit?: number;
            /** milliseconds */
            waitMs?: number;
        }, options?: CallOptions): AsyncGenerator<Event, void, undefined> {
        return this.all<Event>(operations.getTimeline, input, options);
    }

    /** One task list over all processes, newest first; each task with its execution's variables from the same Position */
    listTasks(input: {
            domainId?: string;
            assignee?: string;
            /** unassigned tasks only unless includeAssigned */
            candidateGroup?: string;
            /** unassigned tasks only unless includeAssigned */
            candidateUser?: string;
            includeAssigned?: boolean;
            /** pending, in_progress, completed, cancelled; default the open ones */
            status?: string;
            /** of the process */
            definitionKey?: string;
            taskDefinitionKey?: string;
            executionId?: string;
            processInstanceId?: string;
            dueBefore?: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
            sort?: string;
            /** milliseconds */
            waitMs?: number;
        } = {}, options?: CallOptions): Promise<TaskPage> {
        return this.call<TaskPage>(operations.listTasks, input, options);
    }

    /** All of listTasks's pages, fetched as they are read. */
    allTasks(input: {
            domainId?: string;
            assignee?: string;
            /** unassigned tasks only unless includeAssigned */
            candidateGroup?: string;
            /** unassigned tasks only unless includeAssigned */
            candidateUser?: string;
            includeAssigned?: boolean;
            /** pending, in_progress, completed, cancelled; default the open ones */
            status?: string;
            /** of the process */
            definitionKey?: string;
            taskDefinitionKey?: string;
            executionId?: string;
            processInstanceId?: string;
            dueBefore?: string;
            limit?: number;
            sort?: string;
            /** milliseconds */
            waitMs?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Task, void, undefined> {
        return this.all<Task>(operations.listTasks, input, options);
    }

    /** Deployed process definitions */
    listDefinitions(input: {
            key?: string;
            domainId?: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
            /** milliseconds */
            waitMs?: number;
        } = {}, options?: CallOptions): Promise<DefinitionPage> {
        return this.call<DefinitionPage>(operations.listDefinitions, input, options);
    }

    /** All of listDefinitions's pages, fetched as they are read. */
    allDefinitions(input: {
            key?: string;
            domainId?: string;
            limit?: number;
            /** milliseconds */
            waitMs?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Definition, void, undefined> {
        return this.all<Definition>(operations.listDefinitions, input, options);
    }

    /** A definition with its BPMN */
    getDefinition(input: {
            definitionId: string;
            /** milliseconds */
            waitMs?: number;
        }, options?: CallOptions): Promise<Definition> {
        return this.call<Definition>(operations.getDefinition, input, options);
    }

    /** What `netbuild status` says */
    getSync(options?: CallOptions): Promise<SyncStatus> {
        return this.call<SyncStatus>(operations.getSync, {}, options);
    }

    /** The Socket.IO clients of this node, by id */
    listSockets(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<SocketPage> {
        return this.call<SocketPage>(operations.listSockets, input, options);
    }

    /** All of listSockets's pages, fetched as they are read. */
    allSockets(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<ConnectedSocket, void, undefined> {
        return this.all<ConnectedSocket>(operations.listSockets, input, options);
    }

    /** Rooms, and how many clients of this node are in each */
    listRooms(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<RoomPage> {
        return this.call<RoomPage>(operations.listRooms, input, options);
    }

    /** All of listRooms's pages, fetched as they are read. */
    allRooms(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<{
        room: string;
        sockets: number;
    }, void, undefined> {
        return this.all<{
        room: string;
        sockets: number;
    }>(operations.listRooms, input, options);
    }

    /** Disconnects a client; it does not come back by itself */
    kickSocket(input: {
            socketId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.kickSocket, input, options);
    }

    /** Signs in with e-mail address and password */
    login(input: {
            body: {
            email: string;
            password: string;
        };
        }, options?: CallOptions): Promise<Tokens> {
        return this.call<Tokens>(operations.login, input, options);
    }

    /** New tokens for a refresh token; each is good for one use, and its second use ends the session */
    refresh(input: {
            body: {
            refreshToken: string;
        };
        }, options?: CallOptions): Promise<Tokens> {
        return this.call<Tokens>(operations.refresh, input, options);
    }

    /** Ends the session of the token */
    logout(options?: CallOptions): Promise<void> {
        return this.call<void>(operations.logout, {}, options);
    }

    /** The caller's sessions, newest first */
    listSessions(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<SessionPage> {
        return this.call<SessionPage>(operations.listSessions, input, options);
    }

    /** All of listSessions's pages, fetched as they are read. */
    allSessions(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Session, void, undefined> {
        return this.all<Session>(operations.listSessions, input, options);
    }

    /** Ends one of the caller's sessions */
    endSession(input: {
            sessionId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.endSession, input, options);
    }

    /** Changes the caller's password and ends their other sessions */
    changePassword(input: {
            body: {
            current: string;
            password: string;
        };
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.changePassword, input, options);
    }

    /** Sets a password with a token of netbuild user reset-password, and ends all sessions */
    resetPassword(input: {
            body: {
            token: string;
            password: string;
        };
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.resetPassword, input, options);
    }

    /** Who the token is and its roles */
    getMe(options?: CallOptions): Promise<{
        subject: string;
        roles: Record<string, string>;
    }> {
        return this.call<{
        subject: string;
        roles: Record<string, string>;
    }>(operations.getMe, {}, options);
    }

    /** The public keys of access tokens (RFC 7517) */
    getKeys(options?: CallOptions): Promise<{
        keys: (Record<string, unknown>)[];
    }> {
        return this.call<{
        keys: (Record<string, unknown>)[];
    }>(operations.getKeys, {}, options);
    }

    /** Domains in which the caller has a role */
    listDomains(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<DomainPage> {
        return this.call<DomainPage>(operations.listDomains, input, options);
    }

    /** All of listDomains's pages, fetched as they are read. */
    allDomains(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Domain, void, undefined> {
        return this.all<Domain>(operations.listDomains, input, options);
    }

    /** A domain's configuration; its version is the ETag */
    getDomain(input: {
            domainId: string;
        }, options?: CallOptions): Promise<Domain> {
        return this.call<Domain>(operations.getDomain, input, options);
    }

    /** Creates a domain (without If-Match) or replaces the version that If-Match names */
    putDomain(input: {
            domainId: string;
            ifMatch?: string;
            body: DomainInput;
        }, options?: CallOptions): Promise<Domain> {
        return this.call<Domain>(operations.putDomain, input, options);
    }

    /** Every configuration that the domain had, newest first */
    listDomainVersions(input: {
            domainId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<DomainPage> {
        return this.call<DomainPage>(operations.listDomainVersions, input, options);
    }

    /** All of listDomainVersions's pages, fetched as they are read. */
    allDomainVersions(input: {
            domainId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<Domain, void, undefined> {
        return this.all<Domain>(operations.listDomainVersions, input, options);
    }

    /** The users that have a role in the domain */
    listMembers(input: {
            domainId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<{
        items: Member[];
        nextCursor: string | null;
    }> {
        return this.call<{
        items: Member[];
        nextCursor: string | null;
    }>(operations.listMembers, input, options);
    }

    /** All of listMembers's pages, fetched as they are read. */
    allMembers(input: {
            domainId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<Member, void, undefined> {
        return this.all<Member>(operations.listMembers, input, options);
    }

    /** A user's role in the domain; not one's own, and none above one's own */
    grantRole(input: {
            domainId: string;
            userId: string;
            body: {
            role: Role;
        };
        }, options?: CallOptions): Promise<Member> {
        return this.call<Member>(operations.grantRole, input, options);
    }

    /** Takes the user's role in the domain away, if there is one */
    revokeRole(input: {
            domainId: string;
            userId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.revokeRole, input, options);
    }

    /** The domain's API keys, revoked ones too, without their secrets */
    listApiKeys(input: {
            domainId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<{
        items: ApiKey[];
        nextCursor: string | null;
    }> {
        return this.call<{
        items: ApiKey[];
        nextCursor: string | null;
    }>(operations.listApiKeys, input, options);
    }

    /** All of listApiKeys's pages, fetched as they are read. */
    allApiKeys(input: {
            domainId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<ApiKey, void, undefined> {
        return this.all<ApiKey>(operations.listApiKeys, input, options);
    }

    /** A key for a service; `key` is told once and never again */
    createApiKey(input: {
            domainId: string;
            body: {
            name: string;
            role: Role;
        };
        }, options?: CallOptions): Promise<ApiKey & {
        key: string;
    }> {
        return this.call<ApiKey & {
        key: string;
    }>(operations.createApiKey, input, options);
    }

    /** The key is good for nothing from now on */
    revokeApiKey(input: {
            domainId: string;
            keyId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.revokeApiKey, input, options);
    }

    /** What was done to the domain, its roles and its keys, newest first */
    listAudit(input: {
            domainId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<{
        items: AuditEntry[];
        nextCursor: string | null;
    }> {
        return this.call<{
        items: AuditEntry[];
        nextCursor: string | null;
    }>(operations.listAudit, input, options);
    }

    /** All of listAudit's pages, fetched as they are read. */
    allAudit(input: {
            domainId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<AuditEntry, void, undefined> {
        return this.all<AuditEntry>(operations.listAudit, input, options);
    }

    /** Counts a request against up to 16 limits, against all or none of them */
    checkRateLimits(input: {
            body: RateChecks;
        }, options?: CallOptions): Promise<RateAnswer> {
        return this.call<RateAnswer>(operations.checkRateLimits, input, options);
    }

    /** What a check would say; nothing is counted */
    peekRateLimits(input: {
            body: RateChecks;
        }, options?: CallOptions): Promise<RateAnswer> {
        return this.call<RateAnswer>(operations.peekRateLimits, input, options);
    }

    /** Counts the cost whatever is left; says whether a request of cost 1 would be let in afterwards */
    penalizeRateLimits(input: {
            body: RateChecks;
        }, options?: CallOptions): Promise<RateAnswer> {
        return this.call<RateAnswer>(operations.penalizeRateLimits, input, options);
    }

    /** Denies a key for a time */
    blockRateLimit(input: {
            body: RateBlock;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.blockRateLimit, input, options);
    }

    /** Forgets a key's block, its penalties and what it has used */
    unblockRateLimit(input: {
            body: RateUnblock;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.unblockRateLimit, input, options);
    }

    /** A session for a user of another service. Its id is a secret that is told here and never again */
    createUserSession(input: {
            body: {
            /** none: nobody has signed in yet */
            userId?: string;
            /** fields, in all at most 65536 bytes; a field that is null is not there */
            data?: Record<string, unknown>;
        };
        }, options?: CallOptions): Promise<NewUserSession> {
        return this.call<NewUserSession>(operations.createUserSession, input, options);
    }

    /** A user's sessions, oldest first, at most 100; without their ids */
    listUserSessions(input: {
            userId: string;
        }, options?: CallOptions): Promise<{
        items: UserSession[];
        nextCursor: null;
    }> {
        return this.call<{
        items: UserSession[];
        nextCursor: null;
    }>(operations.listUserSessions, input, options);
    }

    /** Ends all sessions of a user */
    revokeUserSessions(input: {
            userId: string;
        }, options?: CallOptions): Promise<{
        revoked: number;
    }> {
        return this.call<{
        revoked: number;
    }>(operations.revokeUserSessions, input, options);
    }

    /** A session, which ends later for it. 404 is a session that has ended, was revoked or never was */
    getUserSession(input: {
            /** the secret id, or the signed cookie of express-session (s:…), percent-encoded */
            sessionId: string;
        }, options?: CallOptions): Promise<UserSession> {
        return this.call<UserSession>(operations.getUserSession, input, options);
    }

    /** Sets and removes the named fields, all or none; the others stay as they are, whoever writes them meanwhile */
    changeUserSession(input: {
            /** the secret id, or the signed cookie of express-session (s:…), percent-encoded */
            sessionId: string;
            body: {
            /** null removes */
            set?: Record<string, unknown>;
            /** what these fields have to be now; null: not there */
            expected?: Record<string, unknown>;
        };
        }, options?: CallOptions): Promise<UserSession> {
        return this.call<UserSession>(operations.changeUserSession, input, options);
    }

    /** Ends a session, by id, by cookie or by handle; one that is not there is no error */
    revokeUserSession(input: {
            /** the secret id, or the signed cookie of express-session (s:…), percent-encoded */
            sessionId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.revokeUserSession, input, options);
    }

    /** Another id for the session, as after a sign-in; the old one is dead at once */
    rotateUserSession(input: {
            /** the secret id, or the signed cookie of express-session (s:…), percent-encoded */
            sessionId: string;
            body: {
            /** who signed in, where the session was nobody's */
            userId?: string;
        };
        }, options?: CallOptions): Promise<NewUserSession> {
        return this.call<NewUserSession>(operations.rotateUserSession, input, options);
    }

    /** A payment in minor units of an ISO 4217 currency. A card number in any field is refused */
    createPayment(input: {
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body: PaymentInput;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.createPayment, input, options);
    }

    /** Payments, newest first */
    listPayments(input: {
            domainId?: string;
            status?: PaymentStatus;
            executionId?: string;
            userId?: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<PaymentPage> {
        return this.call<PaymentPage>(operations.listPayments, input, options);
    }

    /** All of listPayments's pages, fetched as they are read. */
    allPayments(input: {
            domainId?: string;
            status?: PaymentStatus;
            executionId?: string;
            userId?: string;
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Payment, void, undefined> {
        return this.all<Payment>(operations.listPayments, input, options);
    }

    /** A payment with its balances */
    getPayment(input: {
            paymentId: string;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.getPayment, input, options);
    }

    /** What happened to a payment, oldest first; its balances are what they come to */
    listPaymentEvents(input: {
            paymentId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<PaymentEventPage> {
        return this.call<PaymentEventPage>(operations.listPaymentEvents, input, options);
    }

    /** All of listPaymentEvents's pages, fetched as they are read. */
    allPaymentEvents(input: {
            paymentId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<PaymentEvent, void, undefined> {
        return this.all<PaymentEvent>(operations.listPaymentEvents, input, options);
    }

    /** created → authorized */
    authorizePayment(input: {
            paymentId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: PaymentNote;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.authorizePayment, input, options);
    }

    /** authorized → captured; 1 to the authorized amount, all of it by default */
    capturePayment(input: {
            paymentId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: PaymentMove;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.capturePayment, input, options);
    }

    /** captured or partially_refunded → partially_refunded or refunded; the rest by default */
    refundPayment(input: {
            paymentId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: PaymentMove;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.refundPayment, input, options);
    }

    /** created or authorized → failed */
    failPayment(input: {
            paymentId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: PaymentNote;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.failPayment, input, options);
    }

    /** created or authorized → cancelled */
    cancelPayment(input: {
            paymentId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: PaymentNote;
        }, options?: CallOptions): Promise<Payment> {
        return this.call<Payment>(operations.cancelPayment, input, options);
    }

    /** Keeps the task with its execution's variables as they are now; completed tasks are kept by themselves */
    takeTaskSnapshot(input: {
            taskId: string;
            /** the same key and body give the same answer, for 24 hours at least; another body is 409 */
            idempotencyKey?: string;
            body?: Record<string, never>;
        }, options?: CallOptions): Promise<SnapshotPlace> {
        return this.call<SnapshotPlace>(operations.takeTaskSnapshot, input, options);
    }

    /** Task snapshots, newest first */
    listSnapshots(input: {
            taskId?: string;
            executionId?: string;
            processInstanceId?: string;
            domainId?: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<SnapshotPage> {
        return this.call<SnapshotPage>(operations.listSnapshots, input, options);
    }

    /** All of listSnapshots's pages, fetched as they are read. */
    allSnapshots(input: {
            taskId?: string;
            executionId?: string;
            processInstanceId?: string;
            domainId?: string;
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Snapshot, void, undefined> {
        return this.all<Snapshot>(operations.listSnapshots, input, options);
    }

    /** A task snapshot; nothing changes it */
    getSnapshot(input: {
            snapshotId: string;
        }, options?: CallOptions): Promise<Snapshot> {
        return this.call<Snapshot>(operations.getSnapshot, input, options);
    }

    /** Begins a conversation in a domain; with a clientConversationId a retry gives the same answer */
    createConversation(input: {
            body: ConversationInput;
        }, options?: CallOptions): Promise<Conversation> {
        return this.call<Conversation>(operations.createConversation, input, options);
    }

    /** Conversations of the caller's domains, newest first */
    listConversations(input: {
            domainId?: string;
            executionId?: string;
            taskId?: string;
            limit?: number;
            /** nextCursor or previousCursor of another page */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<ConversationPage> {
        return this.call<ConversationPage>(operations.listConversations, input, options);
    }

    /** All of listConversations's pages, fetched as they are read. */
    allConversations(input: {
            domainId?: string;
            executionId?: string;
            taskId?: string;
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Conversation, void, undefined> {
        return this.all<Conversation>(operations.listConversations, input, options);
    }

    /** A conversation; its version is the ETag */
    getConversation(input: {
            conversationId: string;
        }, options?: CallOptions): Promise<Conversation> {
        return this.call<Conversation>(operations.getConversation, input, options);
    }

    /** Replaces title, links and metadata of the version that If-Match names */
    changeConversation(input: {
            conversationId: string;
            ifMatch: string;
            body: ConversationChange;
        }, options?: CallOptions): Promise<Conversation> {
        return this.call<Conversation>(operations.changeConversation, input, options);
    }

    /** Appends a message; with a clientMessageId a retry gives the same answer */
    postMessage(input: {
            conversationId: string;
            body: MessageInput;
        }, options?: CallOptions): Promise<Message> {
        return this.call<Message>(operations.postMessage, input, options);
    }

    /** The newest state of each message, newest message first unless sort says otherwise */
    listMessages(input: {
            conversationId: string;
            limit?: number;
            /** nextCursor or previousCursor of another page */
            cursor?: string;
            sort?: "sequence" | "-sequence";
            /** only messages behind this number; numbers have no gap, so nothing is missed */
            afterSequence?: number;
        }, options?: CallOptions): Promise<MessagePage> {
        return this.call<MessagePage>(operations.listMessages, input, options);
    }

    /** All of listMessages's pages, fetched as they are read. */
    allMessages(input: {
            conversationId: string;
            limit?: number;
            sort?: "sequence" | "-sequence";
            /** only messages behind this number; numbers have no gap, so nothing is missed */
            afterSequence?: number;
        }, options?: CallOptions): AsyncGenerator<Message, void, undefined> {
        return this.all<Message>(operations.listMessages, input, options);
    }

    /** A message's newest state; its number is the ETag */
    getMessage(input: {
            conversationId: string;
            messageId: string;
        }, options?: CallOptions): Promise<Message> {
        return this.call<Message>(operations.getMessage, input, options);
    }

    /** A new state of a message, by its author or an admin; the log keeps the earlier ones */
    editMessage(input: {
            conversationId: string;
            messageId: string;
            ifMatch?: string;
            body: MessageEdit;
        }, options?: CallOptions): Promise<Message> {
        return this.call<Message>(operations.editMessage, input, options);
    }

    /** A last state without content, by the author or an admin */
    deleteMessage(input: {
            conversationId: string;
            messageId: string;
            ifMatch?: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.deleteMessage, input, options);
    }

    /** Every state of a message, as posted first */
    getMessageHistory(input: {
            conversationId: string;
            messageId: string;
        }, options?: CallOptions): Promise<MessagePage> {
        return this.call<MessagePage>(operations.getMessageHistory, input, options);
    }

    /** Messages of the caller's domains whose newest state has all the words of q, newest first; a page may have fewer than limit */
    searchMessages(input: {
            /** whole words, without regard to case and accents; 422 where the store has no full-text index */
            q?: string;
            domainId?: string;
            conversationId?: string;
            limit?: number;
            /** nextCursor or previousCursor of another page */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<MessagePage> {
        return this.call<MessagePage>(operations.searchMessages, input, options);
    }

    /** All of searchMessages's pages, fetched as they are read. */
    allSearchMessages(input: {
            /** whole words, without regard to case and accents; 422 where the store has no full-text index */
            q?: string;
            domainId?: string;
            conversationId?: string;
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Message, void, undefined> {
        return this.all<Message>(operations.searchMessages, input, options);
    }

    /** What a model is told besides the messages; with maxTokens the window, made to fit */
    getAiContext(input: {
            conversationId: string;
            maxTokens?: number;
        }, options?: CallOptions): Promise<AiContext | AiWindow> {
        return this.call<AiContext | AiWindow>(operations.getAiContext, input, options);
    }

    /** Creates the context (without If-Match) or replaces the version that If-Match names */
    putAiContext(input: {
            conversationId: string;
            ifMatch?: string;
            body: AiContextInput;
        }, options?: CallOptions): Promise<AiContext> {
        return this.call<AiContext>(operations.putAiContext, input, options);
    }

    /** What all conversations about an execution share */
    getExecutionAiContext(input: {
            domainId: string;
            executionId: string;
        }, options?: CallOptions): Promise<AiContext> {
        return this.call<AiContext>(operations.getExecutionAiContext, input, options);
    }

    /** Creates the context (without If-Match) or replaces the version that If-Match names */
    putExecutionAiContext(input: {
            domainId: string;
            executionId: string;
            ifMatch?: string;
            body: AiContextInput;
        }, options?: CallOptions): Promise<AiContext> {
        return this.call<AiContext>(operations.putExecutionAiContext, input, options);
    }

    /** Registers an index of vectors in a domain */
    createEmbeddingIndex(input: {
            body: EmbeddingIndexInput;
        }, options?: CallOptions): Promise<EmbeddingIndex> {
        return this.call<EmbeddingIndex>(operations.createEmbeddingIndex, input, options);
    }

    /** Indexes of the domains in which the caller has a role */
    listEmbeddingIndexes(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<EmbeddingIndexPage> {
        return this.call<EmbeddingIndexPage>(operations.listEmbeddingIndexes, input, options);
    }

    /** All of listEmbeddingIndexes's pages, fetched as they are read. */
    allEmbeddingIndexes(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<EmbeddingIndex, void, undefined> {
        return this.all<EmbeddingIndex>(operations.listEmbeddingIndexes, input, options);
    }

    /** An index with its file, checksum and count; its version is the ETag */
    getEmbeddingIndex(input: {
            indexId: string;
        }, options?: CallOptions): Promise<EmbeddingIndex> {
        return this.call<EmbeddingIndex>(operations.getEmbeddingIndex, input, options);
    }

    /** Removes an index with its vectors; it is gone at once, the rest follows */
    deleteEmbeddingIndex(input: {
            indexId: string;
            ifMatch?: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.deleteEmbeddingIndex, input, options);
    }

    /** Makes index, graph and file anew from the records; searches are exact meanwhile */
    rebuildEmbeddingIndex(input: {
            indexId: string;
        }, options?: CallOptions): Promise<EmbeddingIndex> {
        return this.call<EmbeddingIndex>(operations.rebuildEmbeddingIndex, input, options);
    }

    /** Adds or replaces up to 48 vectors, all or none; the same again changes nothing */
    addEmbeddings(input: {
            indexId: string;
            body: {
            vectors: EmbeddingInput[];
        };
        }, options?: CallOptions): Promise<{
        added: number;
        replaced: number;
        unchanged: number;
        count: number;
    }> {
        return this.call<{
        added: number;
        replaced: number;
        unchanged: number;
        count: number;
    }>(operations.addEmbeddings, input, options);
    }

    /** What the vectors of an index were made of, in the order in which they came */
    listEmbeddings(input: {
            indexId: string;
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<EmbeddingPage> {
        return this.call<EmbeddingPage>(operations.listEmbeddings, input, options);
    }

    /** All of listEmbeddings's pages, fetched as they are read. */
    allEmbeddings(input: {
            indexId: string;
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<Embedding, void, undefined> {
        return this.all<Embedding>(operations.listEmbeddings, input, options);
    }

    /** What a vector was made of */
    getEmbedding(input: {
            indexId: string;
            vectorId: string;
        }, options?: CallOptions): Promise<Embedding> {
        return this.call<Embedding>(operations.getEmbedding, input, options);
    }

    /** Removes a vector; one that is not there is no error */
    deleteEmbedding(input: {
            indexId: string;
            vectorId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.deleteEmbedding, input, options);
    }

    /** Removes up to 48 vectors (all or none), or every vector of a document */
    removeEmbeddings(input: {
            indexId: string;
            body: {
            vectorIds?: string[];
            source?: string;
        };
        }, options?: CallOptions): Promise<{
        removed: number;
    }> {
        return this.call<{
        removed: number;
    }>(operations.removeEmbeddings, input, options);
    }

    /** The nearest vectors to one that the caller computed, best first */
    searchEmbeddings(input: {
            indexId: string;
            body: EmbeddingSearch;
        }, options?: CallOptions): Promise<{
        items: Embedding[];
        method: "exact" | "graph";
    }> {
        return this.call<{
        items: Embedding[];
        method: "exact" | "graph";
    }>(operations.searchEmbeddings, input, options);
    }

    /** All queues to which something was added, by name */
    listQueues(input: {
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        } = {}, options?: CallOptions): Promise<QueuePage> {
        return this.call<QueuePage>(operations.listQueues, input, options);
    }

    /** All of listQueues's pages, fetched as they are read. */
    allQueues(input: {
            limit?: number;
        } = {}, options?: CallOptions): AsyncGenerator<Queue, void, undefined> {
        return this.all<Queue>(operations.listQueues, input, options);
    }

    /** What a queue holds, and what it has done */
    getQueue(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
        }, options?: CallOptions): Promise<Queue> {
        return this.call<Queue>(operations.getQueue, input, options);
    }

    /** Adds up to 1000 jobs, all or none */
    addJobs(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            body: AddJobs;
        }, options?: CallOptions): Promise<AddedJobs> {
        return this.call<AddedJobs>(operations.addJobs, input, options);
    }

    /** Jobs of a state */
    listJobs(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            /** completed and cancelled are one list, of those that have ended */
            state?: "ready" | "delayed" | "running" | "dead" | "completed" | "cancelled";
            limit?: number;
            /** nextCursor of the page before */
            cursor?: string;
        }, options?: CallOptions): Promise<JobPage> {
        return this.call<JobPage>(operations.listJobs, input, options);
    }

    /** All of listJobs's pages, fetched as they are read. */
    allJobs(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            /** completed and cancelled are one list, of those that have ended */
            state?: "ready" | "delayed" | "running" | "dead" | "completed" | "cancelled";
            limit?: number;
        }, options?: CallOptions): AsyncGenerator<Job, void, undefined> {
        return this.all<Job>(operations.listJobs, input, options);
    }

    /** A job, also after its end as long as its outcome is kept */
    getJob(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            jobId: string;
        }, options?: CallOptions): Promise<Job> {
        return this.call<Job>(operations.getJob, input, options);
    }

    /** Cancels a job, whatever its state; who runs it learns it at its next heartbeat */
    cancelJob(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            jobId: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.cancelJob, input, options);
    }

    /** Takes jobs to work on; waits for a first one. Each is its taker's until its lease ends */
    claimJobs(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            body?: {
            limit?: number;
            leaseMs?: number;
            waitMs?: number;
            /** who works, for people; without one the caller */
            worker?: string;
        };
        }, options?: CallOptions): Promise<ClaimedJobs> {
        return this.call<ClaimedJobs>(operations.claimJobs, input, options);
    }

    /** The run has succeeded; sent again with the same token it is known. 409 if the run is not the caller's any more */
    completeJob(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            jobId: string;
            body: {
            /** as the claim gave it */
            token: string;
            /** any JSON */
            result?: unknown;
        };
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.completeJob, input, options);
    }

    /** The run has failed. 409 if it is not the caller's any more */
    failJob(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            jobId: string;
            body: {
            /** as the claim gave it */
            token: string;
            error: string;
            /** tried again by the job's backoff; a dead letter at once; given back as if it had not begun */
            after?: "retry" | "dead" | "release";
            /** instead of the backoff */
            retryInMs?: number;
        };
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.failJob, input, options);
    }

    /** Renews the lease, from now. 409 if the run is not the caller's any more */
    renewJob(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            jobId: string;
            body: {
            /** as the claim gave it */
            token: string;
            leaseMs?: number;
        };
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.renewJob, input, options);
    }

    /** Gives out no more jobs; adds go on */
    pauseQueue(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.pauseQueue, input, options);
    }

    /** Gives out jobs again */
    resumeQueue(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
        }, options?: CallOptions): Promise<void> {
        return this.call<void>(operations.resumeQueue, input, options);
    }

    /** Removes what is ready or delayed */
    drainQueue(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
        }, options?: CallOptions): Promise<{
        removed: number;
    }> {
        return this.call<{
        removed: number;
    }>(operations.drainQueue, input, options);
    }

    /** Makes dead letters ready again, with all their attempts; those of the ids, or all */
    retryJobs(input: {
            /** those whose name begins with netbuild and a colon are NetBuild's own */
            queue: string;
            body?: {
            ids?: string[];
        };
        }, options?: CallOptions): Promise<{
        retried: number;
    }> {
        return this.call<{
        retried: number;
    }>(operations.retryJobs, input, options);
    }

    /** This document */
    getOpenApi(options?: CallOptions): Promise<Record<string, unknown>> {
        return this.call<Record<string, unknown>>(operations.getOpenApi, {}, options);
    }

    /** Liveness */
    getHealth(options?: CallOptions): Promise<{
        status: "ok";
    }> {
        return this.call<{
        status: "ok";
    }>(operations.getHealth, {}, options);
    }

    /** Readiness with reasons */
    getReadiness(options?: CallOptions): Promise<Readiness> {
        return this.call<Readiness>(operations.getReadiness, {}, options);
    }

    /** Prometheus metrics */
    getMetrics(options?: CallOptions): Promise<string> {
        return this.call<string>(operations.getMetrics, {}, options);
    }
}
