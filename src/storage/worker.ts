/** What each worker thread runs. */
import { serveTasks } from '../platform/worker-pool.ts';
import { createTaskHandler, transfers } from './tasks.ts';

serveTasks(createTaskHandler(), transfers);
