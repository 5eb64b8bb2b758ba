// SPDX-License-Identifier: Apache-2.0
// UnifiedQueryService as NetBuild runs it today: one find in MongoDB, then two calls to Camunda's
// REST, one after the other. Keep-alive and a pool of 50 are on: it is a fair peer, not a slow one.
'use strict';
const http = require('http');
const axios = require('axios');
const express = require('express');
const mongoose = require('mongoose');

const { PORT, MONGODB_URI, MONGODB_DATABASE, CAMUNDA_URL } = process.env;

const TaskExecution = mongoose.model(
  'TaskExecution',
  new mongoose.Schema(
    {
      processInstanceId: String,
      executionId: { type: String, index: true },
      domainId: String,
      currentTaskId: String,
      currentTaskName: String,
      status: String,
    },
    { collection: 'node_task_executions' },
  ),
);

const camundaApi = axios.create({
  baseURL: CAMUNDA_URL,
  httpAgent: new http.Agent({ keepAlive: true, maxSockets: 50 }),
});

class UnifiedQueryService {
  async getExecutionDetails(executionId) {
    const execution = await TaskExecution.findOne({ executionId });
    const processInstance = await camundaApi.get(`/process-instance/${execution.processInstanceId}`);
    const tasks = await camundaApi.get(`/task?processInstanceId=${execution.processInstanceId}`);
    return {
      ...execution.toObject(),
      processState: processInstance.data,
      activeTasks: tasks.data,
    };
  }
}

async function main() {
  await mongoose.connect(MONGODB_URI, {
    dbName: MONGODB_DATABASE,
    maxPoolSize: 50,
    minPoolSize: 10,
    socketTimeoutMS: 45000,
  });
  const service = new UnifiedQueryService();
  const app = express();
  app.get('/v1/executions/:id', async (request, response) => {
    try {
      response.json(await service.getExecutionDetails(request.params.id));
    } catch (error) {
      response.status(500).json({ error: String(error) });
    }
  });
  // The bench fills the collection through the same driver.
  app.post('/fill', express.json({ limit: '10mb' }), async (request, response) => {
    await TaskExecution.deleteMany({});
    await TaskExecution.insertMany(request.body);
    await TaskExecution.syncIndexes().catch(() => {});
    response.json({ inserted: request.body.length });
  });
  app.listen(Number(PORT), '127.0.0.1', () => console.log('listening'));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
